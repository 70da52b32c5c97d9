/** What a waypoint stands in front of: the services and workloads that are bound to one of its own services. */
import type { GatewayAddress } from "../../../shared/model/workload.ts";
import { networkAddressKey } from "../../../shared/model/workload.ts";
import type { ServiceInfo } from "../service-info.ts";
import type { PublishedWorkload } from "../workload-parts.ts";
import { originOf } from "./instances.ts";
import type { WaypointNode } from "./node.ts";
import { byCreation, type L7Service } from "./services.ts";
import type { Sources } from "./sources.ts";
import { byText } from "./wire.ts";

/** Names and addresses under which others know this waypoint. */
export interface WaypointKey {
  readonly namespace: string;
  readonly hostnames: ReadonlySet<string>;
  /** `network/ip`. */
  readonly addresses: ReadonlySet<string>;
}

export function waypointKey({ around, objects }: Sources, node: WaypointNode): WaypointKey {
  const pod = objects.find("Pod", node.namespace, node.podName);
  const fronting: readonly ServiceInfo[] =
    pod === undefined
      ? around.services.selecting(node.namespace, node.labels)
      : around.services.ofPod(pod);
  return {
    namespace: node.namespace,
    hostnames: new Set(fronting.map(({ service }) => service.hostname)),
    addresses: new Set(fronting.flatMap(({ service }) => service.vips.map(networkAddressKey))),
  };
}

function isOurs(key: WaypointKey, address: GatewayAddress | undefined): boolean {
  if (address === undefined) return false;
  const { destination } = address;
  return destination.kind === "hostname"
    ? destination.namespace === key.namespace && key.hostnames.has(destination.hostname)
    : key.addresses.has(networkAddressKey(destination.address));
}

/** In the order in which their addresses are tried. A host of several namespaces is that of the first. */
export function ownServices({ services }: Sources, key: WaypointKey): readonly L7Service[] {
  const found = new Map<string, L7Service>();
  for (const service of services.all) {
    const { waypoint, weightedWaypoints } = service.info.service;
    const ours =
      isOurs(key, waypoint) ||
      weightedWaypoints.some(({ destination }) => isOurs(key, destination));
    if (!ours || found.has(service.hostname)) continue;
    // Names of the mesh itself are not for the resolver of each request.
    if (service.resolution === "DynamicDns" && !service.external) continue;
    found.set(service.hostname, service);
  }
  return [...found.values()].sort(byCreation);
}

/** Oldest first, then by name. */
export function ownWorkloads(
  { workloads, objects }: Sources,
  key: WaypointKey,
): readonly PublishedWorkload[] {
  const found = [...workloads.values()].filter(({ waypoint }) => isOurs(key, waypoint));
  const created = new Map(found.map((one) => [one, originOf(one, objects).createdAt]));
  return found.sort(
    (a, b) =>
      byText(created.get(a) ?? "", created.get(b) ?? "") ||
      byText(a.name, b.name) ||
      byText(a.namespace, b.namespace),
  );
}
