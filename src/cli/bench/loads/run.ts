/** Runs one load against a stack and says what it cost. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { systemClock } from "../../../shared/base/clock.ts";
import type { Ground } from "../ground.ts";
import { cpuMs, residentMb } from "../meter.ts";
import type { LoadName, RunSpec, Sample } from "../spec.ts";
import { pidsOf, type Stack } from "../stacks/stack.ts";
import { ports } from "../topology.ts";
import { h2loadCommand, parseH2loadLog } from "./h2load.ts";
import { openIdleConnections } from "./idle.ts";
import { iperfCommand, parseIperf } from "./iperf.ts";
import { latencySamples, parseWrk, type WrkResult, wrkCommand } from "./wrk.ts";

const RATE_PER_SECOND = 2_000;
const RATE_CLIENTS = 32;

export interface LoadContext {
  readonly ground: Ground;
  readonly stack: Stack;
  readonly spec: RunSpec;
}

export function runLoad(name: LoadName, context: LoadContext): Promise<readonly Sample[]> {
  switch (name) {
    case "bulk-1":
      return bulk(name, 1, context);
    case "bulk-4":
      return bulk(name, 4, context);
    case "http-1":
      return requests(name, 1, context);
    case "http-32":
      return requests(name, 32, context);
    case "http-256":
      return requests(name, 256, context);
    case "http-rate":
      return fixedRate(context);
    case "connections":
      return connections(context);
    case "http2":
      return http2(context);
    case "beside-bulk":
      return besideBulk(context);
    case "sizes":
      return sizes(context);
    case "idle":
      return idle(context);
  }
}

/** CPU of the processes on the data path, in milliseconds. */
interface Used {
  readonly allMs: number;
  readonly byRole: readonly { readonly name: string; readonly ms: number }[];
}

/** What the stack took while this ran. */
async function metered<T>(
  { stack }: LoadContext,
  work: () => Promise<T>,
): Promise<{ readonly outcome: T; readonly used: Used }> {
  const before = stack.dataPath.map(({ pids }) => cpuMs(pids));
  const outcome = await work();
  const byRole = stack.dataPath.map(({ name, pids }, index) => ({
    name,
    ms: cpuMs(pids) - (before[index] ?? 0),
  }));
  return { outcome, used: { allMs: byRole.reduce((sum, { ms }) => sum + ms, 0), byRole } };
}

async function inClient({ ground }: LoadContext, command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await ground.inClient(command);
  // iperf3 reports failures in its output and by its exit code.
  if (code !== 0 && stdout === "") throw new Error(`${command[0]}: ${stderr.trim().slice(0, 300)}`);
  return stdout;
}

async function bulk(
  load: LoadName,
  streams: number,
  context: LoadContext,
): Promise<readonly Sample[]> {
  const { stack, spec } = context;
  const command = iperfCommand(stack.host, ports.bulk, streams, spec.seconds);
  const { outcome, used } = await metered(context, async () =>
    parseIperf(await inClient(context, command)),
  );
  const samples: Sample[] = [
    { load, figure: "throughput", unit: "Gbit/s", value: outcome.gbitPerSecond },
  ];
  if (stack.dataPath.length > 0)
    samples.push({
      load,
      figure: "CPU",
      unit: "ms CPU/GB",
      value: used.allMs / (outcome.bytes / 1e9),
    });
  return samples;
}

function url({ stack }: LoadContext, path: string): string {
  return `http://${stack.host}:${ports.http}${path}`;
}

async function wrk(
  context: LoadContext,
  options: {
    readonly connections: number;
    readonly path?: string;
    readonly headers?: readonly string[];
    readonly script?: string;
  },
): Promise<{ readonly outcome: WrkResult; readonly used: Used }> {
  const { path = "/1k", ...rest } = options;
  const command = wrkCommand({ ...rest, url: url(context, path), seconds: context.spec.seconds });
  const measured = await metered(context, async () => parseWrk(await inClient(context, command)));
  if (measured.outcome.failed > measured.outcome.requests / 100)
    throw new Error(`${measured.outcome.failed} of ${measured.outcome.requests} requests failed`);
  return measured;
}

async function requests(
  load: LoadName,
  clients: number,
  context: LoadContext,
): Promise<readonly Sample[]> {
  const { outcome, used } = await wrk(context, { connections: clients });
  return [...latencySamples(load, outcome), ...perRequest(load, context, used, outcome.requests)];
}

function perRequest(
  load: LoadName,
  { stack }: LoadContext,
  used: Used,
  count: number,
  unit: Sample["unit"] = "us CPU/request",
): readonly Sample[] {
  if (stack.dataPath.length === 0) return [];
  const sample = (figure: string, ms: number): Sample => ({
    load,
    figure,
    unit,
    value: (ms * 1_000) / count,
  });
  const roles = used.byRole.length < 2 ? [] : used.byRole;
  return [sample("CPU", used.allMs), ...roles.map(({ name, ms }) => sample(`CPU, ${name}`, ms))];
}

async function connections(context: LoadContext): Promise<readonly Sample[]> {
  const load = "connections";
  const { outcome, used } = await wrk(context, {
    connections: 8,
    headers: ["Connection: close"],
  });
  return [
    ...latencySamples(load, outcome),
    ...perRequest(load, context, used, outcome.requests, "us CPU/connection"),
  ];
}

async function h2load(
  context: LoadContext,
  load: LoadName,
  options: {
    readonly clients: number;
    readonly streams: number;
    readonly http1: boolean;
    readonly port: number;
    readonly ratePerClient?: number;
  },
): Promise<readonly Sample[]> {
  const { port, ...rest } = options;
  const { ground, stack, spec } = context;
  const logFile = ground.world.path(`h2load-${load}.log`);
  rmSync(logFile, { force: true });
  const command = h2loadCommand({
    ...rest,
    url: `http://${stack.host}:${port}/1k`,
    seconds: spec.seconds,
    logFile,
  });
  const startedMs = systemClock.monotonicMs();
  const { used } = await metered(context, () => inClient(context, command));
  const tookMs = systemClock.monotonicMs() - startedMs;
  const outcome = parseH2loadLog(readFileSync(logFile, "utf8"));
  return [
    { load, figure: "rate", unit: "1/s", value: (outcome.requests * 1_000) / tookMs },
    { load, figure: "p50", unit: "ms", value: outcome.p50Ms },
    { load, figure: "p99", unit: "ms", value: outcome.p99Ms },
    { load, figure: "p99.9", unit: "ms", value: outcome.p999Ms },
    ...perRequest(load, context, used, outcome.requests),
  ];
}

function fixedRate(context: LoadContext): Promise<readonly Sample[]> {
  return h2load(context, "http-rate", {
    clients: RATE_CLIENTS,
    streams: 1,
    http1: true,
    port: ports.http,
    ratePerClient: Math.round(RATE_PER_SECOND / RATE_CLIENTS),
  });
}

function http2(context: LoadContext): Promise<readonly Sample[]> {
  return h2load(context, "http2", { clients: 4, streams: 16, http1: false, port: ports.http2 });
}

async function besideBulk(context: LoadContext): Promise<readonly Sample[]> {
  const { stack, spec } = context;
  const load = "beside-bulk";
  const command = iperfCommand(stack.host, ports.bulk, 4, spec.seconds + 1);
  const bulkRun = inClient(context, command);
  // The streams need a moment to grow to their full speed.
  await systemClock.sleep(500);
  const { outcome } = await wrk(context, { connections: 4 });
  const moved = parseIperf(await bulkRun);
  return [
    ...latencySamples(load, outcome),
    { load, figure: "throughput", unit: "Gbit/s", value: moved.gbitPerSecond },
  ];
}

/** One after the other; the large ones are rare, as in life. */
const sizesScript = `
local paths = { "/1k", "/1k", "/10k", "/1k", "/1k", "/100k", "/1k", "/10k", "/1k", "/1000k" }
local next = 0
request = function()
  next = next % #paths + 1
  return wrk.format("GET", paths[next])
end
`;

async function sizes(context: LoadContext): Promise<readonly Sample[]> {
  const script = context.ground.world.path("sizes.lua");
  writeFileSync(script, sizesScript);
  const { outcome, used } = await wrk(context, { connections: 16, path: "/", script });
  return [
    ...latencySamples("sizes", outcome),
    ...perRequest("sizes", context, used, outcome.requests),
  ];
}

async function idle(context: LoadContext): Promise<readonly Sample[]> {
  const { ground, stack, spec } = context;
  const pids = pidsOf(stack.dataPath);
  const before = residentMb(pids);
  const close = await openIdleConnections(ground, stack.host, ports.idle, spec.idleConnections);
  await systemClock.sleep(1_000);
  const grownMb = residentMb(pids) - before;
  await close();
  if (pids.length === 0) return [];
  return [
    {
      load: "idle",
      figure: "memory",
      unit: "KB/connection",
      value: (grownMb * 1024) / spec.idleConnections,
    },
  ];
}
