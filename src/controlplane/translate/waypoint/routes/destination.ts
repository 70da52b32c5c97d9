/** From a destination of a rule to the cluster that stands for it here, and to how it is hashed. */
import type {
  ConsistentHashSpec,
  TrafficPolicySpec,
} from "../../../../shared/objects/kinds/destination-rule.ts";
import type { DestinationSpec } from "../../../../shared/objects/kinds/virtual-service.ts";
import { clusterName, UNKNOWN_SERVICE } from "../names.ts";
import { isHttp, isSniffed } from "../protocols.ts";
import { type L7Service, portOf } from "../services.ts";
import { outboundRule, type World } from "../world.ts";

export function serviceOf({ services, node }: World, host: string): L7Service | undefined {
  return services.find(host, node.namespace);
}

/** Our own services by the clusters of this waypoint, others as a caller would reach them. */
export function destinationCluster(
  world: World,
  destination: DestinationSpec,
  listenerPort: number,
): string {
  const { host, subset = "" } = destination;
  if (host === "") return UNKNOWN_SERVICE;
  const service = serviceOf(world, host);
  const port = destination.port?.number ?? onlyPort(service) ?? listenerPort;
  if (service !== undefined && !world.own.has(service.hostname))
    return clusterName("outbound", port, subset, host);
  const protocol = protocolAt(service, port);
  return clusterName("inbound-vip", port, subset === "" ? protocol : `${protocol}/${subset}`, host);
}

function onlyPort(service: L7Service | undefined): number | undefined {
  return service?.ports.length === 1 ? service.ports[0]?.number : undefined;
}

/** A port that nobody declares counts as HTTP: the cluster is not there either way. */
function protocolAt(service: L7Service | undefined, number: number): "http" | "tcp" {
  const port = service && portOf(service, number);
  if (port === undefined) return "http";
  return isHttp(port.protocol) || isSniffed(port.protocol) ? "http" : "tcp";
}

/** The subset's port before the subset, the host's port before the host. */
export function destinationHash(
  world: World,
  destination: DestinationSpec,
): ConsistentHashSpec | undefined {
  const service = serviceOf(world, destination.host);
  const rule = service && outboundRule(world, service);
  if (rule === undefined) return undefined;
  const { trafficPolicy, subsets } = rule.spec;
  const subset = subsets.find(({ name }) => name === (destination.subset ?? ""))?.trafficPolicy;
  const port = destination.port?.number;
  return (
    portHash(subset, port) ??
    subset?.loadBalancer?.consistentHash ??
    portHash(trafficPolicy, port) ??
    trafficPolicy?.loadBalancer?.consistentHash
  );
}

function portHash(
  policy: TrafficPolicySpec | undefined,
  port: number | undefined,
): ConsistentHashSpec | undefined {
  if (port === undefined) return undefined;
  return policy?.portLevelSettings.find((setting) => setting.port?.number === port)?.loadBalancer
    ?.consistentHash;
}
