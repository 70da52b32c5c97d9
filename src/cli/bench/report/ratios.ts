/** The ratios that answer "what does it cost me, against what I could have instead". Pure. */
import { type Comparison, compare, figureKey, type StackFigures } from "../figures.ts";
import type { Sample, StackName } from "../spec.ts";
import { moreIsBetter } from "./text.ts";

/** Of the first to the second: what a mesh costs at all, then what the alternatives to it cost. */
const pairs: readonly (readonly [StackName, StackName])[] = [
  ["ambit", "direct"],
  ["ambit", "sidecars"],
  ["ambit", "ztunnel"],
  ["ambit-waypoint", "direct"],
  ["ambit-waypoint", "sidecars"],
  ["ambit-waypoint", "envoy-waypoint"],
  ["ambit-workers", "ambit"],
];

const chief: readonly string[] = [
  "bulk-1/throughput",
  "bulk-1/CPU",
  "bulk-4/throughput",
  "bulk-4/CPU",
  "http-1/p50",
  "http-1/p99",
  "http-1/CPU",
  "http-32/rate",
  "http-32/p50",
  "http-32/p99",
  "http-32/CPU",
  "http-32/CPU, waypoint",
  "http-256/rate",
  "http-256/p99",
  "rate-32/p50",
  "rate-32/p99",
  "rate-32/CPU",
  "connections/rate",
  "connections/p99",
  "connections/CPU",
  "http2/rate",
  "http2/CPU",
  "grpc/p50",
  "grpc/CPU",
  "beside-bulk/p50",
  "beside-bulk/p99",
  "idle/memory",
  "memory/data path, idle",
  "memory/data path, loaded",
];

export interface RatioColumn {
  readonly of: StackFigures;
  readonly to: StackFigures;
  readonly byKey: ReadonlyMap<string, Comparison>;
}

export interface RatioRow {
  readonly key: string;
  readonly load: Sample["load"];
  readonly figure: string;
  readonly unit: Comparison["unit"];
}

export interface Ratios {
  readonly columns: readonly RatioColumn[];
  /** Chief figures that at least one column has. */
  readonly rows: readonly RatioRow[];
}

export function ratiosOf(stacks: readonly StackFigures[]): Ratios {
  const find = (name: StackName): StackFigures | undefined =>
    stacks.find(({ stack, variant }) => stack === name && variant === "");
  const columns = pairs.flatMap(([name, baseName]) => {
    const [one, base] = [find(name), find(baseName)];
    if (one === undefined || base === undefined) return [];
    const byKey = new Map(compare(base, one).map((each) => [each.key, each]));
    return [{ of: one, to: base, byKey }];
  });
  const rows = chief.flatMap((key) => {
    const some = columns.find(({ byKey }) => byKey.has(key))?.byKey.get(key);
    if (some === undefined) return [];
    const { load, figure } = some.base;
    return [{ key, load, figure, unit: some.unit }];
  });
  return { columns, rows };
}

/** A ratio, with "~" where the rounds of both overlap, so that it may be noise. */
export function formatRatio(comparison: Comparison | undefined, rounds: number): string {
  if (comparison === undefined) return "-";
  const { ratio, beyondNoise } = comparison;
  return rounds > 1 && !beyondNoise ? `~${formatTimes(ratio)}` : formatTimes(ratio);
}

/** From the ratio of one's lowest round to the other's highest, to the other way round; undefined of single rounds. */
export function formatRatioRange({ base, other }: Comparison): string | undefined {
  if (base.values.length < 2 || other.values.length < 2 || base.lowest <= 0) return undefined;
  return `${formatTimes(other.lowest / base.highest)}..${formatTimes(other.highest / base.lowest)}`;
}

function formatTimes(ratio: number): string {
  if (ratio >= 100) return ratio.toFixed(0);
  return ratio >= 10 ? ratio.toFixed(1) : ratio.toFixed(2);
}

/** Few rounds can agree by chance: less than this is not called a difference. */
const LEAST_DIFFERENCE = 0.03;

/** "same" is what noise may explain. */
export function verdictOf({ unit, ratio, beyondNoise }: Comparison): "better" | "worse" | "same" {
  if (!beyondNoise || Math.abs(ratio - 1) < LEAST_DIFFERENCE) return "same";
  return ratio > 1 === moreIsBetter(unit) ? "better" : "worse";
}

export function isSideFigure({ figure }: { readonly figure: string }): boolean {
  return figure === "load generator" || figure === "servers" || figure.startsWith("GC, ");
}

/** Names of a load's own figures, in the order in which they were measured. */
export function figureNames(stacks: readonly StackFigures[], load: string): readonly string[] {
  const own = stacks.flatMap(({ figures }) =>
    figures.filter((each) => each.load === load && !isSideFigure(each)).map(figureKey),
  );
  return [...new Set(own)].map((key) => key.slice(load.length + 1));
}
