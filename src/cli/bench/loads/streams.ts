/** Loads of h2load: fixed rates over HTTP/1.1, and HTTP/2 as fast as it goes. */
import { readFileSync, rmSync } from "node:fs";
import { systemClock } from "../../../shared/base/clock.ts";
import { residentMb } from "../meter.ts";
import { FIXED_RATE, type LoadName, type Sample } from "../spec.ts";
import { pidsOf } from "../stacks/stack.ts";
import { ports } from "../topology.ts";
import { beginMeter, inClient, type LoadContext, metered, url, warmUp } from "./context.ts";
import { h2loadCommand, h2loadDurationsMs } from "./h2load.ts";
import { latencyOf } from "./latency.ts";
import { type Answered, requestSamples } from "./samples.ts";

function freshLog({ ground }: LoadContext): string {
  const file = ground.world.path("h2load.log");
  rmSync(file, { force: true });
  return file;
}

function answeredIn(tookMs: number, durationsMs: readonly number[]): Answered {
  const count = durationsMs.length;
  return { count, perSecond: (count * 1_000) / tookMs, latency: latencyOf(durationsMs) };
}

/** The clients connect one after the other; nothing is counted until all have, nor while they leave. */
export async function fixedRate(
  load: LoadName,
  clients: number,
  context: LoadContext,
): Promise<readonly Sample[]> {
  const { spec } = context;
  const rampMs = (1_000 * clients) / FIXED_RATE + Math.max(200, spec.warmUpMs);
  const seconds = spec.seconds + Math.ceil((rampMs + 300) / 1_000);
  const logFile = freshLog(context);
  const command = h2loadCommand({
    url: url(context, "/1k"),
    clients,
    streams: 1,
    http1: true,
    rate: FIXED_RATE,
    seconds,
    logFile,
  });
  const whole = beginMeter(context);
  const running = inClient(context, command);
  // It is awaited below, after the part that is measured.
  running.catch(() => undefined);
  await systemClock.sleep(rampMs);
  const fromMs = systemClock.wallMs();
  const measured = beginMeter(context);
  await systemClock.sleep(spec.seconds * 1_000);
  const cost = measured();
  const toMs = systemClock.wallMs();
  await running;
  // A generator's time is known only when it has ended.
  const { generatorMs, wallMs } = whole();
  const durations = h2loadDurationsMs(readFileSync(logFile, "utf8"), fromMs, toMs);
  const samples = requestSamples(load, answeredIn(toMs - fromMs, durations), {
    ...cost,
    generatorMs: (generatorMs * cost.wallMs) / wallMs,
  });
  const pids = pidsOf(context.stack.dataPath);
  if (pids.length === 0) return samples;
  return [...samples, { load, figure: "data path", unit: "MB", value: residentMb(pids) }];
}

export async function http2(context: LoadContext): Promise<readonly Sample[]> {
  const logFile = freshLog(context);
  const command = h2loadCommand({
    url: url(context, "/1k", ports.http2),
    clients: 4,
    streams: 16,
    http1: false,
    seconds: context.spec.seconds,
    logFile,
  });
  await warmUp(context, command);
  rmSync(logFile, { force: true });
  const { cost } = await metered(context, () => inClient(context, command));
  const durations = h2loadDurationsMs(readFileSync(logFile, "utf8"));
  return requestSamples("http2", answeredIn(cost.wallMs, durations), cost);
}
