/** Finding the workload behind a waypoint or network gateway (wire/ztunnel.md section 4.2). Unresolvable is never bypassed. */

import type { SpiffeIdentity } from "../../shared/identity/spiffe.ts";
import { sameIdentity } from "../../shared/identity/spiffe.ts";
import type { MeshView } from "../../shared/model/mesh-view.ts";
import { identityOf } from "../../shared/model/store-workloads.ts";
import {
  type GatewayAddress,
  type Service,
  serviceKey,
  type WeightedWaypoint,
  type Workload,
} from "../../shared/model/workload.ts";
import type { IpAddress } from "../../shared/net/ip.ts";
import {
  chooseEndpoint,
  type PassedOverNotes,
  type PortRule,
  type Upstream,
  weightedDraw,
} from "./endpoint.ts";

export interface GatewayQuery {
  readonly view: MeshView;
  readonly source: Workload;
  readonly random: () => number;
  readonly notes: PassedOverNotes;
}

/** `network/ip` or `namespace/hostname`, as the config dump and error texts write it. */
export function gatewayText(gateway: GatewayAddress): string {
  const { destination } = gateway;
  return destination.kind === "hostname"
    ? `${destination.namespace}/${destination.hostname}`
    : `${destination.address.network}/${destination.address.ip}`;
}

/** The waypoint of a service for one connection: a weighted draw, or the plain one when there is nothing to draw from. */
export function waypointOf(
  service: Pick<Service, "waypoint" | "weightedWaypoints">,
  random: () => number,
): GatewayAddress | undefined {
  const weighted: readonly WeightedWaypoint[] = service.weightedWaypoints;
  const drawn = weightedDraw(
    weighted.map((entry) => entry.weight),
    random,
  );
  return drawn === undefined ? service.waypoint : weighted[drawn]?.destination;
}

/** What a gateway address names: a service (with its endpoints) or one workload. */
export type GatewayTarget =
  | { readonly kind: "service"; readonly service: Service }
  | { readonly kind: "workload"; readonly workload: Workload };

export function gatewayTarget(
  view: MeshView,
  gateway: GatewayAddress,
  clientNamespace: string | undefined,
): GatewayTarget | undefined {
  const { destination } = gateway;
  const service =
    destination.kind === "hostname"
      ? view.service(serviceKey(destination.namespace, destination.hostname))
      : view.serviceByVip(destination.address.network, destination.address.ip, { clientNamespace });
  if (service !== undefined) return { kind: "service", service };
  const workload =
    destination.kind === "hostname"
      ? view.workloadByHostname(destination.namespace, destination.hostname)
      : view.workloadByAddress(destination.address.network, destination.address.ip);
  return workload && { kind: "workload", workload };
}

export interface ResolvedGateway extends Upstream {
  /** The address whose family the endpoint's address should have. */
  readonly familyOf: IpAddress;
}

/** `originalIp` is where the application wanted to go: a gateway given by name follows its family. */
export function resolveGateway(
  query: GatewayQuery,
  gateway: GatewayAddress,
  rule: PortRule,
  originalIp: IpAddress,
): ResolvedGateway | undefined {
  const { destination, hboneMtlsPort: port } = gateway;
  const { view, source, random, notes } = query;
  const target = gatewayTarget(view, gateway, source.namespace);
  const family = destination.kind === "hostname" ? originalIp : destination.address.ip;
  if (target === undefined) return undefined;
  if (target.kind === "workload")
    return { workload: target.workload, port, service: undefined, familyOf: family };
  const { service } = target;
  if (service.loadBalancing?.mode === "Passthrough") return undefined;
  const chosen = chooseEndpoint(view, { service, port, rule, source, random, notes });
  return chosen && { ...chosen, familyOf: family };
}

/** Whether the caller is itself an instance of the gateway: same identity, and its address is the instance's. */
export function isInstanceOf(
  view: MeshView,
  gateway: GatewayAddress,
  caller: { readonly identity: SpiffeIdentity; readonly ip: IpAddress; readonly namespace: string },
): boolean {
  const target = gatewayTarget(view, gateway, caller.namespace);
  const matches = (workload: Workload): boolean =>
    workload.addresses.includes(caller.ip) && sameIdentity(identityOf(workload), caller.identity);
  if (target === undefined) return false;
  if (target.kind === "workload") return matches(target.workload);
  const key = serviceKey(target.service.namespace, target.service.hostname);
  for (const endpoint of view.allEndpoints(key)) if (matches(endpoint.workload)) return true;
  return false;
}
