/** The ratios that answer "what does it cost me, against what I could have instead". Pure. */
import { type Comparison, compare, figureKey, labelOf, type StackFigures } from "../figures.ts";
import type { StackName } from "../spec.ts";

/** Of the first to the second. */
const pairs: readonly (readonly [StackName, StackName])[] = [
  ["ambit", "ztunnel"],
  ["ambit", "sidecars"],
  ["ambit-waypoint", "envoy-waypoint"],
  ["ambit-waypoint", "sidecars"],
  ["ambit-workers", "ambit"],
  ["ambit", "direct"],
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
  readonly title: string;
  readonly byKey: ReadonlyMap<string, Comparison>;
}

export interface RatioRow {
  readonly key: string;
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
    return [{ title: `${labelOf(one)} : ${labelOf(base)}`, byKey }];
  });
  const rows = chief.flatMap((key) => {
    const some = columns.find(({ byKey }) => byKey.has(key))?.byKey.get(key);
    return some === undefined ? [] : [{ key, unit: some.unit }];
  });
  return { columns, rows };
}

/** A ratio, with "~" where the rounds of both overlap, so that it may be noise. */
export function formatRatio(comparison: Comparison | undefined, rounds: number): string {
  if (comparison === undefined) return "-";
  const { ratio, beyondNoise } = comparison;
  const text = ratio >= 10 ? ratio.toFixed(1) : ratio.toFixed(2);
  return rounds > 1 && !beyondNoise ? `~${text}` : text;
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
