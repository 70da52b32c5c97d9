/** Loads of wrk: requests as fast as they go. */
import { writeFileSync } from "node:fs";
import { systemClock } from "../../../shared/base/clock.ts";
import type { LoadName, Sample } from "../spec.ts";
import { ports } from "../topology.ts";
import {
  type Cost,
  cpuSamples,
  inClient,
  type LoadContext,
  metered,
  sideSamples,
  url,
  warmUp,
} from "./context.ts";
import { iperfCommand, parseIperf } from "./iperf.ts";
import { latencySamples } from "./latency.ts";
import { parseWrk, type WrkResult, wrkCommand, wrkEnd } from "./wrk.ts";

interface Shape {
  readonly connections: number;
  readonly path?: string;
  readonly headers?: readonly string[];
  /** Lua that chooses requests. */
  readonly choose?: string;
}

const COLD_SECONDS = 1;

interface Measured {
  readonly outcome: WrkResult;
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
  const measured = await metered(context, async () => parseWrk(await inClient(context, command)));
  if (measured.outcome.failed > measured.outcome.requests / 100)
    throw new Error(`${measured.outcome.failed} of ${measured.outcome.requests} requests failed`);
  return measured;
}

function rateAndLatency(load: LoadName, outcome: WrkResult): readonly Sample[] {
  return [
    { load, figure: "rate", unit: "1/s", value: outcome.perSecond },
    ...latencySamples(load, outcome),
  ];
}

export async function requests(
  load: LoadName,
  context: LoadContext,
  shape: Shape,
  { cold = false }: { readonly cold?: boolean } = {},
): Promise<readonly Sample[]> {
  const seconds = cold ? COLD_SECONDS : context.spec.seconds;
  const { outcome, cost } = await wrk(context, shape, { seconds, warm: !cold });
  return [
    ...rateAndLatency(load, outcome),
    ...cpuSamples(load, cost, outcome.requests),
    ...sideSamples(load, cost),
  ];
}

export async function connections(context: LoadContext): Promise<readonly Sample[]> {
  const load = "connections";
  const shape = { connections: 8, headers: ["Connection: close"] };
  const { seconds } = context.spec;
  const { outcome, cost } = await wrk(context, shape, { seconds, warm: true });
  return [
    ...rateAndLatency(load, outcome),
    ...cpuSamples(load, cost, outcome.requests, "us CPU/connection"),
    ...sideSamples(load, cost),
  ];
}

/** The streams need a moment to grow to their full speed, and are there until the requests have ended. */
const BULK_FIRST_MS = 500;

export async function besideBulk(context: LoadContext): Promise<readonly Sample[]> {
  const { stack, spec } = context;
  const load = "beside-bulk";
  const bulk = inClient(context, iperfCommand(stack.host, ports.bulk, 4, spec.seconds + 1));
  // It is awaited below, and a failure of both is told once.
  bulk.catch(() => undefined);
  await systemClock.sleep(BULK_FIRST_MS);
  // Both kinds have been loads before.
  const options = { seconds: spec.seconds, warm: false };
  const { outcome, cost } = await wrk(context, { connections: 4 }, options);
  const moved = parseIperf(await bulk);
  return [
    ...rateAndLatency(load, outcome),
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
