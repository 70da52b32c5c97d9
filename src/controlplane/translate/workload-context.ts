/** What a builder of workloads must know about the mesh around one workload. */
import type { ApplicationTunnel, GatewayAddress, Workload } from "../../shared/model/workload.ts";
import type { ObjectMeta } from "../../shared/objects/kinds.ts";
import type { ObjectTable } from "./objects.ts";
import type { Surroundings } from "./service-builder.ts";
import { type Binding, bindWorkload, waypointOfInstance } from "./waypoints.ts";

/** Where a workload stands: its network and what lies in front of it. */
export interface Placement {
  readonly network: string;
  readonly networkGateway: GatewayAddress | undefined;
  readonly waypoint: GatewayAddress | undefined;
  readonly applicationTunnel: ApplicationTunnel | undefined;
}

export interface PlacedWorkload {
  readonly placement: Placement;
  readonly binding: Binding;
}

/** A waypoint's own instances have no waypoint before them, but perhaps a way in of their own. */
export function placeWorkload(
  meta: ObjectMeta & { readonly namespace: string },
  network: string,
  { networks, waypoints }: Pick<Surroundings, "networks" | "waypoints">,
  objects: ObjectTable,
): PlacedWorkload {
  const around = { network, networkGateway: networks.gateways.get(network) };
  const own = waypointOfInstance(meta, waypoints);
  if (own !== undefined)
    return {
      placement: { ...around, waypoint: undefined, applicationTunnel: own.binding },
      binding: { kind: "none" },
    };
  const binding = bindWorkload(meta, waypoints, objects);
  const waypoint = binding.kind === "bound" ? binding.waypoint.address : undefined;
  return { placement: { ...around, waypoint, applicationTunnel: undefined }, binding };
}

export function placementFields(
  placement: Placement,
): Pick<Workload, "network" | "networkGateway" | "waypoint" | "applicationTunnel"> {
  const { network, networkGateway, waypoint, applicationTunnel } = placement;
  return {
    network,
    ...(networkGateway === undefined ? {} : { networkGateway }),
    ...(waypoint === undefined ? {} : { waypoint }),
    ...(applicationTunnel === undefined ? {} : { applicationTunnel }),
  };
}

/** For the memo: a placement is rebuilt on every pass, its parts are not. */
export function placementIngredients(placement: Placement): readonly unknown[] {
  return [
    placement.network,
    placement.networkGateway,
    placement.waypoint,
    placement.applicationTunnel,
  ];
}
