/** Figures that follow from others. Pure. */
import { type Figure, labelOf, type StackFigures } from "../figures.ts";
import { whyLeftOut } from "../plan.ts";
import { type LoadName, loadNames, type MeshContent, smallMesh } from "../spec.ts";
import type { Report } from "./report.ts";
import { formatValue } from "./text.ts";

export function findFigure(
  stack: StackFigures | undefined,
  load: string,
  figure: string,
): Figure | undefined {
  return stack?.figures.find((each) => each.load === load && each.figure === figure);
}

/** What was not measured, and why: what failed or was not here, and loads that a stack did not get although others did. */
export function absentOf({ stacks, absent }: Report): Report["absent"] {
  const main = mainStacks(stacks);
  const measured = loadNames.filter((load) => main.some((stack) => hasLoad(stack, load)));
  const leftOut = main.flatMap((stack) => {
    const label = labelOf(stack);
    const byReason = new Map<string, LoadName[]>();
    for (const load of measured) {
      if (hasLoad(stack, load) || absent.some(({ what }) => what === `${label}: ${load}`)) continue;
      const reason = whyLeftOut(stack.stack, load) ?? "not asked for at that time";
      byReason.set(reason, [...(byReason.get(reason) ?? []), load]);
    }
    return [...byReason].map(([reason, loads]) => ({
      what: `${label}: ${loads.join(", ")}`,
      reason,
    }));
  });
  return [...absent, ...leftOut];
}

export function hasLoad({ figures }: StackFigures, load: string): boolean {
  return figures.some((figure) => figure.load === load);
}

/** Loads that took part in fewer rounds than the others, on purpose. */
export function loadsOfFewerRounds({ stacks, rounds }: Report): readonly LoadName[] {
  const main = mainStacks(stacks);
  return loadNames.filter((load) => {
    const counts = main.flatMap(({ figures }) =>
      figures.filter((figure) => figure.load === load).map(({ values }) => values.length),
    );
    return counts.length > 0 && Math.max(...counts) < rounds;
  });
}

/** The columns in which Istio publishes the cost of a mesh: for 1000 requests a second of 1 KB. */
export interface CostColumns {
  readonly vcpu: number;
  /** Resident memory of all proxies on the way, in MB. */
  readonly memoryMb: number;
  /** Measured at this rate; otherwise reckoned from a load as fast as it goes. */
  readonly atRate: boolean;
}

/** Undefined for a stack without processes of its own. */
export function costColumns(stack: StackFigures): CostColumns | undefined {
  const cpu = findFigure(stack, "rate-32", "CPU");
  const memory = findFigure(stack, "rate-32", "data path");
  // So many microseconds of CPU for each of 1000 requests in a second.
  if (cpu !== undefined && memory !== undefined)
    return { vcpu: cpu.median / 1_000, memoryMb: memory.median, atRate: true };
  const fastCpu = findFigure(stack, "http-32", "CPU");
  const loaded = findFigure(stack, "memory", "data path, loaded");
  if (fastCpu === undefined || loaded === undefined) return undefined;
  return { vcpu: fastCpu.median / 1_000, memoryMb: loaded.median, atRate: false };
}

export const costHead = ["all proxies on the way", "vCPU", "MB", ""] as const;

export function costRows(stacks: readonly StackFigures[]): readonly (readonly string[])[] {
  return stacks.flatMap((stack) => {
    const cost = costColumns(stack);
    if (cost === undefined) return [];
    const { vcpu, memoryMb, atRate } = cost;
    const how = atRate
      ? ""
      : "reckoned from http-32 as fast as it goes, which takes less a request";
    return [[labelOf(stack), vcpu.toFixed(3), formatValue(memoryMb), how]];
  });
}

/** ambit in a mesh of another size. */
export interface SizedStack {
  readonly content: MeshContent;
  readonly stack: StackFigures;
}

/** The small mesh of the other figures first. */
export function sizedStacks(stacks: readonly StackFigures[]): readonly SizedStack[] {
  const sized = stacks.flatMap((stack) =>
    stack.content === undefined ? [] : [{ content: stack.content, stack }],
  );
  const small = stacks.find(({ stack, variant }) => stack === "ambit" && variant === "");
  if (sized.length === 0 || small === undefined) return sized;
  return [{ content: smallMesh, stack: small }, ...sized];
}

/** Figures that a larger mesh may change. */
export const contentFigures: readonly (readonly [load: string, figure: string])[] = [
  ["start", "ready"],
  ["http-32", "rate"],
  ["http-32", "CPU"],
  ["connections", "rate"],
  ["connections", "CPU"],
  ["push", "effect"],
  ["memory", "one ztunnel, idle"],
  ["memory", "one controlplane, idle"],
  ["memory", "one nodeagent, idle"],
];

/** The stacks that the small mesh was measured with. */
export function mainStacks(stacks: readonly StackFigures[]): readonly StackFigures[] {
  return stacks.filter(({ content }) => content === undefined);
}

export interface PerObject {
  readonly label: string;
  readonly content: MeshContent;
  readonly object: "workload" | "policy";
  /** By role: what each further object costs it. */
  readonly roles: readonly {
    readonly name: string;
    readonly memoryKb: number;
    /** To read, to translate and to pass it on when it starts; undefined for roles where that is not measured. */
    readonly startCpuUs: number | undefined;
  }[];
}

/** What one more object costs each role, from meshes with many of them against the small mesh. */
export function costPerObject(stacks: readonly StackFigures[]): readonly PerObject[] {
  const [small, ...larger] = sizedStacks(stacks);
  if (small === undefined || small.stack.content !== undefined) return [];
  return larger.flatMap(({ content, stack }) => {
    const workloads = content.workloads - small.content.workloads;
    const policies = content.policies - small.content.policies;
    const count = Math.max(workloads, policies);
    // Fewer disappear in what two starts differ by.
    if (count < 1_000) return [];
    const more = (load: string, figure: string): number | undefined => {
      const [from, to] = [small.stack, stack].map((each) => findFigure(each, load, figure)?.median);
      return from === undefined || to === undefined ? undefined : (to - from) / count;
    };
    const roles = ["controlplane", "nodeagent", "ztunnel"].flatMap((name) => {
      const mb = more("memory", `one ${name}, idle`);
      const ms = more("start", `CPU, one ${name}`);
      if (mb === undefined) return [];
      return [
        { name, memoryKb: mb * 1_024, startCpuUs: ms === undefined ? undefined : ms * 1_000 },
      ];
    });
    const object = workloads > 0 ? "workload" : "policy";
    return [{ label: labelOf(stack), content, object, roles }];
  });
}
