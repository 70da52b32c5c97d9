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

/** Envoy in the waypoint's place is set up for HTTP/1.1 requests over connections that stay open; other stacks take every load. */
const envoyWaypointLoads: ReadonlySet<LoadName> = new Set([
  "http-1",
  "http-32",
  "http-256",
  "http-rate",
  "sizes",
]);

function loadsFor(stack: StackName, loads: readonly LoadName[]): readonly LoadName[] {
  return stack === "envoy-waypoint" ? loads.filter((load) => envoyWaypointLoads.has(load)) : loads;
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
      runs.push({
        ...common(options),
        ...choice,
        loads: loadsFor(choice.stack, options.loads),
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
