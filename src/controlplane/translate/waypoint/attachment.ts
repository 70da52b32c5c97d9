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
    switch (`${target.group === "core" ? "" : target.group}/${target.kind}`) {
      case "/Service":
      case `${NETWORKING_GROUP}/ServiceEntry`:
        return isSubject(target, namespace, subject);
      case `${GATEWAY_GROUP}/GatewayClass`:
        return namespace === mesh.rootNamespace && target.name === WAYPOINT_GATEWAY_CLASS;
      case `${GATEWAY_GROUP}/Gateway`:
        return isWaypoint(target, namespace, node);
      default:
        return false;
    }
  });
}

function isSubject({ kind, name }: TargetRef, namespace: string, subject: Subject): boolean {
  return (
    subject !== undefined &&
    subject.kind === kind &&
    subject.namespace === namespace &&
    subject.objectName === name
  );
}

function isWaypoint(target: TargetRef, namespace: string, node: WaypointNode): boolean {
  const stated = target.namespace || node.namespace;
  return (
    namespace === node.namespace &&
    stated === node.namespace &&
    target.name === node.labels[GATEWAY_NAME]
  );
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
