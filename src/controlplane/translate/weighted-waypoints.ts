/** A canary of two waypoints: a share of the connections goes to a second one, by labels beside `use-waypoint`. */
import type { Service, WeightedWaypoint } from "../../shared/model/workload.ts";
import type { ObjectMeta } from "../../shared/objects/kinds.ts";
import {
  USE_WAYPOINT_CANARY,
  USE_WAYPOINT_CANARY_NAMESPACE,
  USE_WAYPOINT_CANARY_WEIGHT,
} from "./names.ts";
import type { ObjectTable } from "./objects.ts";
import {
  attach,
  type Binding,
  hasOwnWaypoint,
  refusal,
  supports,
  unsupportedTraffic,
  type Waypoint,
  type WaypointTable,
} from "./waypoints.ts";

/** The service's waypoint with the canary beside it; a faulty canary leaves the waypoint as it is and says why. */
export interface WeightedBinding {
  readonly binding: Binding;
  readonly weighted: readonly WeightedWaypoint[];
  readonly canaryFault?: Extract<Binding, { kind: "refused" }>;
}

export function bindWeighted(
  meta: ObjectMeta & { readonly namespace: string },
  binding: Binding,
  waypoints: WaypointTable,
  objects: ObjectTable,
): WeightedBinding {
  const alone: WeightedBinding = { binding, weighted: [] };
  if (binding.kind !== "bound") return alone;
  const canary = requestedCanary(meta, objects);
  if (canary === undefined) return alone;
  const resolved = resolveCanary(canary, binding.waypoint, meta.namespace, waypoints, objects);
  if (resolved.kind === "refused") return { ...alone, canaryFault: resolved };
  if (resolved.kind === "none" || canary.weight === undefined) return alone;
  const primaryAddress = binding.waypoint.address;
  const canaryAddress = resolved.waypoint.address;
  if (primaryAddress === undefined || canaryAddress === undefined) return alone;
  return {
    binding,
    weighted: [
      { destination: primaryAddress, weight: 100 - canary.weight },
      { destination: canaryAddress, weight: canary.weight },
    ],
  };
}

/** The fields of a Service that say where its waypoints are. */
export function attachWeighted(
  weighted: WeightedBinding,
): Pick<Service, "waypoint" | "weightedWaypoints"> {
  const { binding, weighted: weightedWaypoints } = weighted;
  if (binding.kind !== "bound" || binding.waypoint.address === undefined)
    return { weightedWaypoints };
  return { waypoint: binding.waypoint.address, weightedWaypoints };
}

interface Canary {
  readonly namespace: string;
  readonly name: string;
  /** 0 to 100; undefined when what is written is not such a number. */
  readonly weight: number | undefined;
}

/** The namespace's words count only where the waypoint itself comes from the namespace. */
function requestedCanary(
  meta: ObjectMeta & { readonly namespace: string },
  objects: ObjectTable,
): Canary | undefined {
  const namespaceMeta = hasOwnWaypoint(meta)
    ? undefined
    : objects.namespace(meta.namespace)?.metadata;
  const fromObject = Object.hasOwn(meta.labels, USE_WAYPOINT_CANARY);
  const labels = fromObject ? meta.labels : (namespaceMeta?.labels ?? {});
  const name = labels[USE_WAYPOINT_CANARY];
  if (name === undefined || name === "" || name === "none") return undefined;
  const weightText =
    meta.annotations[USE_WAYPOINT_CANARY_WEIGHT] ??
    namespaceMeta?.annotations[USE_WAYPOINT_CANARY_WEIGHT] ??
    "0";
  const weight =
    /^[+]?\d{1,9}$/.test(weightText) && Number(weightText) <= 100 ? Number(weightText) : undefined;
  return { namespace: labels[USE_WAYPOINT_CANARY_NAMESPACE] ?? meta.namespace, name, weight };
}

function resolveCanary(
  canary: Canary,
  primary: Waypoint,
  namespace: string,
  waypoints: WaypointTable,
  objects: ObjectTable,
): Binding {
  const key = `${canary.namespace}/${canary.name}`;
  if (key === primary.key)
    return refusal(
      "CanarySameAsPrimary",
      `canary waypoint "${key}" must differ from the primary waypoint`,
    );
  if (canary.weight === undefined)
    return refusal(
      "CanaryInvalidWeight",
      `canary waypoint "${key}" has an invalid weight; must be an integer in [0,100]`,
    );
  const attached = attach(canary, namespace, waypoints, objects);
  if (attached.kind === "bound" && !supports(attached.waypoint, "service"))
    return unsupportedTraffic(attached.waypoint, "service");
  return attached;
}
