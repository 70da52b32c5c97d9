/** Loads of wrk: requests as fast as they go. */
import { writeFileSync } from "node:fs";
import { systemClock } from "../../../shared/base/clock.ts";
import type { LoadName, Sample } from "../spec.ts";
import { ports } from "../topology.ts";
import { type Cost, inClient, type LoadContext, metered, url, warmUp } from "./context.ts";
import { iperfCommand, parseIperf } from "./iperf.ts";
import { type Answered, answerSamples, requestSamples, sideSamples } from "./samples.ts";
import { parseWrk, wrkCommand, wrkEnd } from "./wrk.ts";

interface Shape {
  readonly connections: number;
  readonly path?: string;
  readonly headers?: readonly string[];
  /** Lua that chooses requests. */
  readonly choose?: string;
}

const COLD_SECONDS = 1;

interface Measured {
  readonly answered: Answered;
  readonly cost: Cost;
}

async function wrk(
  context: LoadContext,
  shape: Shape,
  { seconds, warm }: { readonly seconds: number; readonly warm: boolean },
): Promise<Measured> {
  const { path = "/1k", choose = "", ...rest } = shape;
  const script = context.ground.world.path(choose === "" ? "wrk.lua" : "wrk-sizes.lua");
  writeFileSync(script, choose + wrkEnd);
  const command = wrkCommand({
    ...rest,
    script,
    url: url(context, path),
    seconds,
  });
  if (warm) await warmUp(context, command);
  const { outcome, cost } = await metered(context, () => inClient(context, command));
  const answered = parseWrk(outcome);
  if (answered.failed > answered.count / 100)
    throw new Error(`${answered.failed} of ${answered.count} requests failed`);
  return { answered, cost };
}

export async function requests(
  load: LoadName,
  context: LoadContext,
  shape: Shape,
): Promise<readonly Sample[]> {
  const { seconds } = context.spec;
  const { answered, cost } = await wrk(context, shape, { seconds, warm: true });
  return requestSamples(load, answered, cost);
}

export async function coldRequests(
  load: LoadName,
  context: LoadContext,
  shape: Shape,
): Promise<readonly Sample[]> {
  const { answered, cost } = await wrk(context, shape, { seconds: COLD_SECONDS, warm: false });
  return requestSamples(load, answered, cost);
}

export async function connections(context: LoadContext): Promise<readonly Sample[]> {
  const shape = { connections: 8, headers: ["Connection: close"] };
  const { seconds } = context.spec;
  const { answered, cost } = await wrk(context, shape, { seconds, warm: true });
  return requestSamples("connections", answered, cost, "us CPU/connection");
}

/** The streams need a moment to grow to their full speed, and are there until the requests have ended. */
const BULK_FIRST_MS = 500;

export async function besideBulk(context: LoadContext): Promise<readonly Sample[]> {
  const { stack, spec } = context;
  const load = "beside-bulk";
  const bulk = inClient(
    context,
    iperfCommand({ host: stack.host, port: ports.bulk, streams: 4 }, spec.seconds + 1),
  );
  // It is awaited below, and a failure of both is told once.
  bulk.catch(() => undefined);
  await systemClock.sleep(BULK_FIRST_MS);
  // Both kinds have been loads before.
  const options = { seconds: spec.seconds, warm: false };
  const { answered, cost } = await wrk(context, { connections: 4 }, options);
  const moved = parseIperf(await bulk);
  return [
    ...answerSamples(load, answered),
    { load, figure: "throughput", unit: "Gbit/s", value: moved.gbitPerSecond },
    ...sideSamples(load, cost),
  ];
}

/** One after the other; the large ones are rare, as in life. */
export const mixedSizes = `
local paths = { "/1k", "/1k", "/10k", "/1k", "/1k", "/100k", "/1k", "/10k", "/1k", "/1000k" }
local next = 0
request = function()
  next = next % #paths + 1
  return wrk.format("GET", paths[next])
end
`;
