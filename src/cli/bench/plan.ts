/** Which runs a benchmark makes, in which order. Pure. */
import type { LoadName, MeshContent, RunSpec, StackName } from "./spec.ts";

export interface StackChoice {
  readonly stack: StackName;
  readonly variant: string;
  readonly program: readonly string[];
}

export interface PlanOptions {
  readonly stacks: readonly StackChoice[];
  readonly loads: readonly LoadName[];
  readonly rounds: number;
  readonly seconds: number;
  readonly idleConnections: number;
  /** Meshes of other sizes, in which ambit is measured by itself; empty in a quick benchmark. */
  readonly contents: readonly MeshContent[];
}

const smallMesh: MeshContent = { policies: 1, workloads: 0 };
const contentLoads: readonly LoadName[] = ["http-32", "connections"];

/** Round by round through all stacks, in turning order, so that what the machine does meanwhile meets them all alike. */
export function planRuns(options: PlanOptions): readonly RunSpec[] {
  const runs: RunSpec[] = [];
  const { stacks } = options;
  for (let round = 0; round < options.rounds; round++) {
    for (let place = 0; place < stacks.length; place++) {
      const choice = stacks[(place + round) % stacks.length];
      if (choice === undefined) continue;
      runs.push({ ...common(options), ...choice, loads: options.loads, content: smallMesh });
    }
  }
  const ambit = stacks.find(({ stack }) => stack === "ambit");
  if (ambit === undefined) return runs;
  for (const content of options.contents)
    runs.push({
      ...common(options),
      ...ambit,
      variant: variantOf(content),
      loads: contentLoads,
      content,
    });
  return runs;
}

function common({
  seconds,
  idleConnections,
}: PlanOptions): Pick<RunSpec, "seconds" | "idleConnections"> {
  return { seconds, idleConnections };
}

export function variantOf({ policies, workloads }: MeshContent): string {
  return `${policies} policies, ${workloads} workloads`;
}
