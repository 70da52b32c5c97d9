/** Which runs a benchmark makes, in which order. Pure. */
import {
  type Effort,
  type LoadName,
  loadNames,
  type MeshContent,
  type RunSpec,
  type StackName,
  smallMesh,
} from "./spec.ts";

export interface StackChoice {
  readonly stack: StackName;
  readonly variant: string;
  readonly program: readonly string[];
}

/** How much a benchmark does. */
export interface Scope extends Effort {
  readonly loads: readonly LoadName[];
  readonly rounds: number;
  /** Loads beside the chief ones take part in so many rounds only. */
  readonly sideRounds: number;
  /** Meshes of other sizes, in which ambit is measured by itself. */
  readonly contents: readonly MeshContent[];
}

export interface PlanOptions extends Scope {
  /** The command line of the benchmark itself. */
  readonly own: readonly string[];
  readonly stacks: readonly StackChoice[];
}

/** Stacks that get some loads only. */
const partial: Readonly<
  Partial<Record<StackName, { readonly loads: ReadonlySet<LoadName>; readonly reason: string }>>
> = {
  direct: {
    loads: new Set(loadNames.filter((load) => load !== "idle")),
    reason: "there is no proxy to look at",
  },
  "ambit-workers": {
    loads: new Set([
      "cold",
      "bulk-1",
      "bulk-4",
      "http-1",
      "http-32",
      "http-256",
      "connections",
      "beside-bulk",
    ]),
    reason: "only what shows how the work spreads over threads",
  },
};

/** Why a stack never gets a load; undefined: it does. */
export function whyLeftOut(stack: StackName, load: LoadName): string | undefined {
  const some = partial[stack];
  return some === undefined || some.loads.has(load) ? undefined : some.reason;
}

/** What says less, or takes long and varies little. */
const sideLoads: ReadonlySet<LoadName> = new Set([
  "http-256",
  "rate-1",
  "rate-256",
  "sizes",
  "idle",
]);

/** What a larger mesh may change. */
export const contentLoads: readonly LoadName[] = ["cold", "http-32", "connections"];

/** Round by round through all stacks, in turning order, so that what the machine does meanwhile meets them all alike. */
export function planRuns(options: PlanOptions): readonly RunSpec[] {
  const { stacks, own, seconds, warmUpMs, idleConnections } = options;
  const common = { own, seconds, warmUpMs, idleConnections };
  const runs: RunSpec[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const wanted = options.loads.filter(
      (load) => round < options.sideRounds || !sideLoads.has(load),
    );
    for (let place = 0; place < stacks.length; place++) {
      const choice = stacks[(place + round) % stacks.length];
      if (choice === undefined) continue;
      const loads = wanted.filter((load) => whyLeftOut(choice.stack, load) === undefined);
      runs.push({ ...common, ...choice, loads, content: smallMesh });
    }
  }
  const ambit = stacks.find(({ stack }) => stack === "ambit");
  if (ambit === undefined) return runs;
  const loads = contentLoads.filter((load) => options.loads.includes(load));
  for (const content of options.contents)
    runs.push({ ...common, ...ambit, variant: variantOf(content), loads, content });
  return runs;
}

export function variantOf({ policies, workloads }: MeshContent): string {
  return `${count(policies, "policy", "policies")}, ${count(workloads, "workload", "workloads")}`;
}

function count(value: number, one: string, many: string): string {
  return `${value} ${value === 1 ? one : many}`;
}

/** A mesh's size as it is written on the command line: `100p` are policies, `10000w` workloads. */
export function parseContent(text: string): MeshContent | undefined {
  const [, digits = "", kind] = /^([1-9]\d{0,5})([pw])$/.exec(text) ?? [];
  if (kind === "p") return { ...smallMesh, policies: Number(digits) };
  return kind === "w" ? { ...smallMesh, workloads: Number(digits) } : undefined;
}

export function formatContent({ policies, workloads }: MeshContent): string {
  return workloads > 0 ? `${workloads}w` : `${policies}p`;
}

const BASE_DEADLINE_MS = 90_000;
const LOAD_DEADLINE_MS = 30_000;
/** All processes of a mesh read all of it, on the same two cores. */
const OBJECT_DEADLINE_MS = 3;

/** Long after a run should have ended. */
export function runDeadlineMs({ loads, seconds, warmUpMs, content }: RunSpec): number {
  const eachMs = LOAD_DEADLINE_MS + seconds * 1_000 + warmUpMs;
  const objects = content.policies + content.workloads;
  return BASE_DEADLINE_MS + loads.length * eachMs + objects * OBJECT_DEADLINE_MS;
}
