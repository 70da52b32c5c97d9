/** What became of every object, as data: for `ambit status`, for the debug page, for tests. Pure. */
import {
  decideEnrollment,
  type EnrollmentDecision,
  exclusionText,
} from "../../shared/model/enrollment.ts";
import type { GatewayAddress } from "../../shared/model/workload.ts";
import { isForGateway, kindName, type ObjectOf, objectName } from "../../shared/objects/kinds.ts";
import type { ObjectSnapshot, SkippedObject, SourceProblem } from "../../shared/objects/source.ts";
import type { Condition } from "../translate/conditions.ts";
import { ObjectTable } from "../translate/objects.ts";
import { isRedirected, type RedirectedPods } from "../translate/redirection.ts";
import type { MeshSettings } from "../translate/settings.ts";
import type { MeshState } from "../translate/translate.ts";

export interface PodReport {
  readonly pod: string;
  readonly node: string;
  readonly mesh: "captured" | "waiting for the node agent" | "outside";
  /** Why it is captured or why not. */
  readonly reason: string;
  /** Selector policies that it carries; those of its namespace and of the whole mesh apply besides. */
  readonly policies: readonly string[];
  /** Of traffic that is addressed to the pod itself. */
  readonly waypoint: string;
}

export interface StatusReport {
  readonly objects: Readonly<Record<string, number>>;
  readonly problems: readonly SourceProblem[];
  readonly skipped: readonly SkippedObject[];
  /** Known and well-formed, but without effect: they are for gateways at the edge of the mesh. */
  readonly unhandled: readonly string[];
  readonly conditions: readonly Condition[];
  readonly pods: readonly PodReport[];
}

/** `node` limits the pods to those of one node. */
export function statusReport(
  snapshot: ObjectSnapshot,
  state: MeshState,
  redirected: RedirectedPods,
  settings: MeshSettings,
  node?: string,
): StatusReport {
  const table = new ObjectTable(snapshot.objects, settings.revision);
  const counts = new Map<string, number>();
  for (const { kind } of snapshot.objects.values())
    counts.set(kindName(kind), (counts.get(kindName(kind)) ?? 0) + 1);
  const pods = table
    .ofKind("Pod")
    .filter(({ spec }) => node === undefined || spec.nodeName === node);
  return {
    objects: Object.fromEntries([...counts].sort()),
    problems: snapshot.problems,
    skipped: snapshot.skipped,
    unhandled: [...snapshot.objects.values()]
      .filter(({ kind }) => isForGateway(kind))
      .map((object) => `${object.origin.file}:${object.origin.line}: ${objectName(object)}`),
    conditions: [...state.conditions].sort((a, b) => (a.object < b.object ? -1 : 1)),
    pods: pods.map((pod) => podReport(pod, table, state, redirected, settings)),
  };
}

function podReport(
  pod: ObjectOf<"Pod">,
  table: ObjectTable,
  state: MeshState,
  redirected: RedirectedPods,
  settings: MeshSettings,
): PodReport {
  const { name, namespace, labels, annotations } = pod.metadata;
  const decision = decideEnrollment({
    namespace,
    namespaceLabels: table.namespaceLabels(namespace),
    podLabels: labels,
    podAnnotations: annotations,
    hostNetwork: pod.spec.hostNetwork,
    phase: pod.status.phase,
  });
  const captured = isRedirected(pod, table, redirected);
  const workload = state.workloads.get(`${settings.clusterId}//Pod/${namespace}/${name}`);
  return {
    pod: `${namespace}/${name}`,
    node: pod.spec.nodeName,
    mesh: captured ? "captured" : decision.enrolled ? "waiting for the node agent" : "outside",
    reason: reasonOf(decision, captured),
    policies: workload?.authorizationPolicies ?? [],
    waypoint: workload?.waypoint === undefined ? "" : gatewayText(workload.waypoint),
  };
}

const enrolledBy = {
  "pod-label": "by the pod's own label",
  "namespace-label": "by its namespace's label",
  selector: "by a configured selector",
} as const;

function reasonOf(decision: EnrollmentDecision, captured: boolean): string {
  if (decision.enrolled) return enrolledBy[decision.by];
  const text = exclusionText[decision.reason];
  return captured ? `marked as redirected, although ${text}` : text;
}

function gatewayText({ destination }: GatewayAddress): string {
  return destination.kind === "hostname" ? destination.hostname : destination.address.ip;
}
