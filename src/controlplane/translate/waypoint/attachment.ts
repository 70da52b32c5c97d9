/** Which policies act at a waypoint: those that name it, its class, or the service that the traffic is for. */
import type { ObjectOf } from "../../../shared/objects/kinds.ts";
import { GATEWAY_NAME, WAYPOINT_GATEWAY_CLASS } from "../names.ts";
import type { Mesh } from "./mesh.ts";
import type { WaypointNode } from "./node.ts";
import type { L7Service } from "./services.ts";

export type TargetingPolicy =
  | ObjectOf<"AuthorizationPolicy">
  | ObjectOf<"RequestAuthentication">
  | ObjectOf<"Telemetry">;

type TargetRef = TargetingPolicy["spec"]["targetRefs"][number];

export function targetRefsOf({ spec }: TargetingPolicy): readonly TargetRef[] {
  if (spec.targetRefs.length > 0) return spec.targetRefs;
  return spec.targetRef === undefined ? [] : [spec.targetRef];
}

const NETWORKING_GROUP = "networking.istio.io";
const GATEWAY_GROUP = "gateway.networking.k8s.io";

/** What the traffic in question is for; undefined for traffic to a workload itself. */
export type Subject = L7Service | undefined;

/** A policy with a selector or without any target is none of a waypoint's. */
export function attaches(
  policy: TargetingPolicy,
  subject: Subject,
  node: WaypointNode,
  mesh: Mesh,
): boolean {
  const { namespace } = policy.metadata;
  return targetRefsOf(policy).some((target) => {
    const { name } = target;
    const group = target.group === "core" ? "" : target.group;
    const is = (wantedGroup: string, kind: string): boolean =>
      group === wantedGroup && target.kind === kind;
    if (subject !== undefined && subject.namespace === namespace && subject.objectName === name) {
      if (is("", "Service") && subject.kind === "Service") return true;
      if (is(NETWORKING_GROUP, "ServiceEntry") && subject.kind === "ServiceEntry") return true;
    }
    if (is(GATEWAY_GROUP, "GatewayClass"))
      return namespace === mesh.rootNamespace && name === WAYPOINT_GATEWAY_CLASS;
    return (
      is(GATEWAY_GROUP, "Gateway") &&
      namespace === node.namespace &&
      (target.namespace === undefined ||
        target.namespace === "" ||
        target.namespace === node.namespace) &&
      name === node.labels[GATEWAY_NAME]
    );
  });
}

/** The attached ones: of the root namespace, of the waypoint's and of the service's, each in their own order. */
export function attached<P extends TargetingPolicy>(
  policies: ReadonlyMap<string, readonly P[]>,
  subject: Subject,
  node: WaypointNode,
  mesh: Mesh,
): readonly P[] {
  const namespaces = new Set([mesh.rootNamespace, node.namespace]);
  if (subject !== undefined) namespaces.add(subject.namespace);
  return [...namespaces].flatMap((namespace) =>
    (policies.get(namespace) ?? []).filter((policy) => attaches(policy, subject, node, mesh)),
  );
}
