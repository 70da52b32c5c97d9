/** Conditions about waypoints: whether an object got the one it asked for, and what policies with targetRefs are bound to. */
import type { ObjectKey } from "../../shared/objects/kinds.ts";
import type { Condition } from "./conditions.ts";
import { WAYPOINT_CONTROLLER } from "./names.ts";
import type { ObjectTable } from "./objects.ts";
import type { Surroundings } from "./service-builder.ts";
import type { MeshSettings } from "./settings.ts";
import { type TargetingPolicy, targetRefsOf } from "./waypoint/attachment.ts";
import type { Binding } from "./waypoints.ts";

/** Nothing for an object that asked for no waypoint. */
export function bindingCondition(object: ObjectKey, binding: Binding): readonly Condition[] {
  switch (binding.kind) {
    case "none":
      return [];
    case "bound":
      return [
        {
          object,
          type: "istio.io/WaypointBound",
          status: "True",
          reason: "WaypointAccepted",
          message: `Successfully attached to waypoint ${binding.waypoint.key}`,
        },
      ];
    case "refused":
      return [
        {
          object,
          type: "istio.io/WaypointBound",
          status: "False",
          reason: binding.reason,
          message: binding.message,
        },
      ];
  }
}

export function waypointConditions(
  objects: ObjectTable,
  around: Surroundings,
  settings: MeshSettings,
): readonly Condition[] {
  const conditions: Condition[] = [];
  for (const [object, { binding, canaryFault }] of around.bindings)
    conditions.push(...bindingCondition(object, canaryFault ?? binding));
  const policies: readonly TargetingPolicy[] = [
    ...objects.ofKind("AuthorizationPolicy"),
    ...objects.ofKind("RequestAuthentication"),
    ...objects.ofKind("Telemetry"),
  ];
  for (const policy of policies)
    conditions.push(...targetConditions(policy, objects, around, settings));
  return conditions;
}

type TargetRef = TargetingPolicy["spec"]["targetRefs"][number];

interface TargetFinding {
  readonly bound: boolean;
  readonly reason: "Accepted" | "Invalid" | "TargetNotFound" | "AncestorNotBound";
  readonly message: string;
}

function targetConditions(
  policy: TargetingPolicy,
  objects: ObjectTable,
  around: Surroundings,
  settings: MeshSettings,
): readonly Condition[] {
  return targetRefsOf(policy).map((target) => {
    const namespace = target.namespace ?? policy.metadata.namespace;
    const { bound, reason, message } = findTarget(target, namespace, objects, around, settings);
    return {
      object: policy.key,
      type: "WaypointAccepted",
      status: bound ? "True" : "False",
      reason,
      message,
    };
  });
}

function findTarget(
  target: TargetRef,
  namespace: string,
  objects: ObjectTable,
  around: Surroundings,
  settings: MeshSettings,
): TargetFinding {
  const key = `${namespace}/${target.name}`;
  switch (target.kind) {
    case "GatewayClass":
      return findClass(target.name, namespace, objects, settings);
    case "Gateway":
      return around.waypoints.has(key)
        ? accepted(key)
        : missing(`waypoint ${key} was not found or is not ready: not enforced`);
    case "Service":
    case "ServiceEntry": {
      const object = objects.find(target.kind, namespace, target.name);
      if (object === undefined) return missing(`${target.kind} ${key} was not found: not enforced`);
      const binding = around.bindings.get(object.key)?.binding;
      if (binding?.kind === "bound") return accepted(binding.waypoint.key);
      const message = `${target.kind} ${key} is not bound to a waypoint: not enforced. Bind it with the label istio.io/use-waypoint`;
      return { bound: false, reason: "AncestorNotBound", message };
    }
    default:
      return {
        bound: false,
        reason: "Invalid",
        message: `a target of kind ${target.kind} is not supported: not enforced`,
      };
  }
}

function findClass(
  name: string,
  namespace: string,
  objects: ObjectTable,
  settings: MeshSettings,
): TargetFinding {
  if (namespace !== settings.rootNamespace)
    return {
      bound: false,
      reason: "Invalid",
      message: `a policy must be in the root namespace "${settings.rootNamespace}" when referencing a GatewayClass: not enforced`,
    };
  const found = objects.find("GatewayClass", "", name);
  if (found === undefined) return missing(`GatewayClass ${name} was not found: not enforced`);
  if (found.spec.controllerName === WAYPOINT_CONTROLLER) return accepted(name);
  return {
    bound: false,
    reason: "Invalid",
    message: `GatewayClass must use controller name "${WAYPOINT_CONTROLLER}" for waypoints: not enforced`,
  };
}

function accepted(to: string): TargetFinding {
  return { bound: true, reason: "Accepted", message: `bound to ${to}` };
}

function missing(message: string): TargetFinding {
  return { bound: false, reason: "TargetNotFound", message };
}
