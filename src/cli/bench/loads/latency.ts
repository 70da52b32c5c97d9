/** How long requests took, as the report wants it. Pure. */
import { median } from "../figures.ts";
import type { Sample } from "../spec.ts";

export interface Latency {
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

/** Of at least one duration, in milliseconds. */
export function latencyOf(durationsMs: readonly number[]): Latency {
  const sorted = Float64Array.from(durationsMs).sort();
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  return { p50Ms: median(durationsMs), p90Ms: at(0.9), p99Ms: at(0.99), p999Ms: at(0.999) };
}

export function latencySamples(load: Sample["load"], latency: Latency): readonly Sample[] {
  const sample = (figure: string, value: number): Sample => ({ load, figure, unit: "ms", value });
  return [
    sample("p50", latency.p50Ms),
    sample("p90", latency.p90Ms),
    sample("p99", latency.p99Ms),
    sample("p99.9", latency.p999Ms),
  ];
}
