/** Which runs a benchmark makes, in which order. Pure. */
import {
  type LoadName,
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

export interface PlanOptions {
  /** The command line of the benchmark itself. */
  readonly own: readonly string[];
  readonly stacks: readonly StackChoice[];
  readonly loads: readonly LoadName[];
  readonly rounds: number;
  /** Loads beside the chief ones take part in so many rounds only. */
  readonly sideRounds: number;
  readonly seconds: number;
  readonly warmUpMs: number;
  readonly idleConnections: number;
  /** Meshes of other sizes, in which ambit is measured by itself. */
  readonly contents: readonly MeshContent[];
}

/** What shows how the work spreads over threads. */
const workersLoads: ReadonlySet<LoadName> = new Set([
  "cold",
  "bulk-1",
  "bulk-4",
  "http-1",
  "http-32",
  "http-256",
  "connections",
  "beside-bulk",
]);

const loadsOf: Readonly<Partial<Record<StackName, ReadonlySet<LoadName>>>> = {
  "ambit-workers": workersLoads,
};

function loadsFor(stack: StackName, loads: readonly LoadName[]): readonly LoadName[] {
  const some = loadsOf[stack];
  return some === undefined ? loads : loads.filter((load) => some.has(load));
}

/** What says less, or takes long and varies little. */
const sideLoads: ReadonlySet<LoadName> = new Set([
  "http-256",
  "rate-1",
  "rate-256",
  "sizes",
  "idle",
]);

const contentLoads: readonly LoadName[] = ["cold", "http-32", "connections"];

/** Round by round through all stacks, in turning order, so that what the machine does meanwhile meets them all alike. */
export function planRuns(options: PlanOptions): readonly RunSpec[] {
  const runs: RunSpec[] = [];
  const { stacks } = options;
  for (let round = 0; round < options.rounds; round++) {
    const loads = options.loads.filter(
      (load) => round < options.sideRounds || !sideLoads.has(load),
    );
    for (let place = 0; place < stacks.length; place++) {
      const choice = stacks[(place + round) % stacks.length];
      if (choice === undefined) continue;
      runs.push({
        ...common(options),
        ...choice,
        loads: loadsFor(choice.stack, loads),
        content: smallMesh,
      });
    }
  }
  const ambit = stacks.find(({ stack }) => stack === "ambit");
  if (ambit === undefined) return runs;
  for (const content of options.contents)
    runs.push({
      ...common(options),
      ...ambit,
      variant: variantOf(content),
      loads: contentLoads.filter((load) => options.loads.includes(load)),
      content,
    });
  return runs;
}

function common(
  options: PlanOptions,
): Pick<RunSpec, "own" | "seconds" | "warmUpMs" | "idleConnections"> {
  const { own, seconds, warmUpMs, idleConnections } = options;
  return { own, seconds, warmUpMs, idleConnections };
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
