/** Everything that a view is made of: the mesh as it is, and the one waypoint that asks. */
import type { ServiceKey } from "../../../shared/model/workload.ts";
import type { DestinationRules, MergedRule } from "./destination-rules.ts";
import type { Instance } from "./instances.ts";
import type { Mesh } from "./mesh.ts";
import type { WaypointNode } from "./node.ts";
import type { RouteTable } from "./routes/sources.ts";
import type { L7Service, ServiceDirectory } from "./services.ts";
import type { SidecarTls } from "./sidecar-tls.ts";

export interface World {
  readonly mesh: Mesh;
  readonly node: WaypointNode;
  readonly services: ServiceDirectory;
  /** The services that this waypoint stands in front of, by hostname. */
  readonly own: ReadonlyMap<string, L7Service>;
  readonly rules: DestinationRules;
  readonly routes: RouteTable;
  readonly sidecarTls: SidecarTls;
  readonly instances: ReadonlyMap<ServiceKey, readonly Instance[]>;
}

/** For the side that the waypoint stands on itself. */
export function inboundRule(world: World, service: L7Service): MergedRule | undefined {
  return world.rules.find(service, world.node, "inbound");
}

/** For the side of a caller. */
export function outboundRule(world: World, service: L7Service): MergedRule | undefined {
  return world.rules.find(service, world.node, "outbound");
}
