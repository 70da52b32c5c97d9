/** Where the load generator or the servers, and not the stack, may be what is measured. Pure. */
import type { StackFigures } from "../figures.ts";
import { FIXED_RATE, type LoadName, loadNames } from "../spec.ts";
import { findFigure } from "./derive.ts";
import { formatValue } from "./text.ts";

/** Each load generator works on one thread. */
const BUSY_CORES = 0.9;
/** Of what goes without any mesh. */
const NEAR = 0.8;
const KEPT_PACE = 0.98;

interface OwnLimit {
  readonly load: LoadName;
  readonly figure: "rate" | "throughput";
  /** Without a mesh, on all cores. */
  readonly most: number;
  readonly generatorCores: number | undefined;
  readonly serverCores: number | undefined;
}

function headFigure(load: string): "rate" | "throughput" {
  return load.startsWith("bulk") ? "throughput" : "rate";
}

/** What load generator and servers do by themselves, load by load. */
export function ownLimits(
  stacks: readonly StackFigures[],
  loads: readonly LoadName[],
): readonly OwnLimit[] {
  const direct = stacks.find(({ stack }) => stack === "direct");
  return loads.flatMap((load) => {
    const figure = headFigure(load);
    const most = findFigure(direct, load, figure);
    if (most === undefined) return [];
    return [
      {
        load,
        figure,
        most: most.median,
        generatorCores: findFigure(direct, load, "load generator")?.median,
        serverCores: findFigure(direct, load, "servers")?.median,
      },
    ];
  });
}

export const limitHead = ["at most", "load generator, cores", "servers, cores"] as const;

export function limitRows(stacks: readonly StackFigures[]): readonly (readonly string[])[] {
  const cores = (value: number | undefined): string =>
    value === undefined ? "-" : formatValue(value);
  return ownLimits(stacks, loadNames).map((each) => [
    each.load,
    `${formatValue(each.most)} ${each.figure === "rate" ? "1/s" : "Gbit/s"}`,
    cores(each.generatorCores),
    cores(each.serverCores),
  ]);
}

/** Why a stack's rate or throughput under a load says little about the stack; undefined: nothing speaks against it. */
export function limitOf(
  stack: StackFigures,
  stacks: readonly StackFigures[],
  load: string,
): string | undefined {
  const own = findFigure(stack, load, headFigure(load));
  if (own === undefined || stack.stack === "direct") return undefined;
  if (load.startsWith("rate-"))
    return own.median < FIXED_RATE * KEPT_PACE ? "it did not keep the pace" : undefined;
  const cores = findFigure(stack, load, "load generator")?.median ?? 0;
  if (cores >= BUSY_CORES) return `its load generator used ${cores.toFixed(2)} of one core`;
  const direct = stacks.find((each) => each.stack === "direct");
  const most = findFigure(direct, load, own.figure)?.median;
  if (most !== undefined && own.median > most * NEAR)
    return `it is ${Math.round((own.median / most) * 100)} % of what goes without a mesh`;
  return undefined;
}
