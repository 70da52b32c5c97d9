/** What a load found, as the report wants it. Pure. */
import type { LoadName, Sample, Unit } from "../spec.ts";
import type { Cost } from "./context.ts";
import { type Latency, latencySamples } from "./latency.ts";

/** Requests or messages that were answered. */
export interface Answered {
  readonly count: number;
  readonly perSecond: number;
  readonly latency: Latency;
}

export function answerSamples(load: LoadName, { perSecond, latency }: Answered): readonly Sample[] {
  return [
    { load, figure: "rate", unit: "1/s", value: perSecond },
    ...latencySamples(load, latency),
  ];
}

/** Rate, latency, what each cost the stack, and how busy the others were. */
export function requestSamples(
  load: LoadName,
  answered: Answered,
  cost: Cost,
  unit?: Extract<Unit, `us CPU/${string}`>,
): readonly Sample[] {
  return [
    ...answerSamples(load, answered),
    ...cpuSamples(load, cost, answered.count, unit),
    ...sideSamples(load, cost),
  ];
}

/** CPU of the stack for each of so many requests, of all its processes and by role. */
function cpuSamples(
  load: LoadName,
  cost: Cost,
  count: number,
  unit: Extract<Unit, `us CPU/${string}`> = "us CPU/request",
): readonly Sample[] {
  if (cost.byRole.length === 0) return [];
  const sample = (figure: string, ms: number): Sample => ({
    load,
    figure,
    unit,
    value: (ms * 1_000) / count,
  });
  const roles = cost.byRole.length < 2 ? [] : cost.byRole;
  return [
    sample("CPU", cost.dataPathMs),
    ...roles.map(({ name, ms }) => sample(`CPU, ${name}`, ms)),
  ];
}

/** How busy those were that are not measured. */
export function sideSamples(load: LoadName, cost: Cost): readonly Sample[] {
  const sample = (figure: string, ms: number): Sample => ({
    load,
    figure,
    unit: "cores",
    value: ms / cost.wallMs,
  });
  const { generatorMs, serversMs } = cost;
  return [
    ...(generatorMs > 0 ? [sample("load generator", generatorMs)] : []),
    sample("servers", serversMs),
  ];
}
