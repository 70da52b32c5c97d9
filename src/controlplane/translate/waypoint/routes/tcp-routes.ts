/** Where the connections to one port of a service go, and what keeps them. */
import type { DestinationRuleSpec } from "../../../../shared/objects/kinds/destination-rule.ts";
import type {
  L4DestinationSpec,
  VirtualServiceSpec,
} from "../../../../shared/objects/kinds/virtual-service.ts";
import type { TcpProxyInit } from "../chains.ts";
import { maybeDuration } from "../wire.ts";
import { outboundRule, type World } from "../world.ts";
import { destinationCluster, serviceOf } from "./destination.ts";
import type { ServicePort } from "./service-routes.ts";
import type { RouteSource } from "./sources.ts";

export function serviceTcpProxy(
  world: World,
  sources: readonly RouteSource[],
  { clusterName, port, service }: ServicePort,
): TcpProxyInit {
  const destinations = destinationsFor(sources, service.hostname, port);
  const [first] = destinations;
  // The proxy's settings are one for all destinations: those of the first one count.
  const target = first === undefined ? service : serviceOf(world, first.destination.host);
  const rule = target && outboundRule(world, target)?.spec;
  const subset = destinations.length === 1 ? (first?.destination.subset ?? "") : "";
  const pool = rule?.trafficPolicy?.connectionPool?.tcp;
  const idleTimeout = maybeDuration(pool?.idleTimeout ?? world.node.idleTimeoutMs);
  const maxDownstreamConnectionDuration = maybeDuration(pool?.maxConnectionDuration);
  const tunnel = rule && tunnelOf(rule, subset);
  return {
    statPrefix: clusterName,
    clusterSpecifier: specifierOf(world, destinations, clusterName, port),
    ...(idleTimeout === undefined ? {} : { idleTimeout }),
    ...(maxDownstreamConnectionDuration === undefined ? {} : { maxDownstreamConnectionDuration }),
    hashPolicy:
      rule !== undefined && hashesSourceIp(rule, subset)
        ? [{ policySpecifier: { case: "sourceIp", value: {} } }]
        : [],
    ...(tunnel === undefined
      ? {}
      : {
          tunnelingConfig: {
            hostname: hostPort(tunnel.targetHost, tunnel.targetPort),
            usePost: tunnel.protocol === "POST",
          },
        }),
  };
}

function specifierOf(
  world: World,
  destinations: readonly L4DestinationSpec[],
  clusterName: string,
  port: number,
): NonNullable<TcpProxyInit["clusterSpecifier"]> {
  const clusterOf = ({ destination }: L4DestinationSpec): string =>
    destinationCluster(world, destination, port);
  const [first, ...others] = destinations;
  if (first === undefined) return { case: "cluster", value: clusterName };
  if (others.length === 0) return { case: "cluster", value: clusterOf(first) };
  const clusters = destinations
    .filter(({ weight }) => weight > 0)
    .map((one) => ({ name: clusterOf(one), weight: one.weight }));
  return { case: "weightedClusters", value: { clusters } };
}

/** Rules about TLS come before those about TCP, whoever wrote them. */
function destinationsFor(
  sources: readonly RouteSource[],
  hostname: string,
  port: number,
): readonly L4DestinationSpec[] {
  for (const { tls } of sources)
    for (const { match, route } of tls)
      if (
        match.length === 0 ||
        // Names in the handshake are not looked at; only the one that must be there anyway is no condition.
        match.some(
          (one) => one.sniHosts.length === 1 && one.sniHosts[0] === hostname && isMet(one, port),
        )
      )
        return route;
  for (const { tcp } of sources)
    for (const { match, route } of tcp)
      if (match.length === 0 || match.some((one) => isMet(one, port))) return route;
  return [];
}

type L4Match = VirtualServiceSpec["tcp"][number]["match"][number];

/** Nothing is known of clients here, so a condition on them is never met. */
function isMet(
  match: Pick<L4Match, "gateways" | "port" | "sourceLabels" | "sourceNamespace">,
  port: number,
): boolean {
  return (
    (match.gateways.length === 0 || match.gateways.includes("mesh")) &&
    (match.port === undefined || match.port === 0 || match.port === port) &&
    Object.keys(match.sourceLabels).length === 0 &&
    match.sourceNamespace === ""
  );
}

function hashesSourceIp({ trafficPolicy, subsets }: DestinationRuleSpec, name: string): boolean {
  const balancer =
    subsets.find((subset) => subset.name === name)?.trafficPolicy?.loadBalancer ??
    trafficPolicy?.loadBalancer;
  return balancer?.consistentHash?.useSourceIp === true;
}

function tunnelOf({ trafficPolicy, subsets }: DestinationRuleSpec, subset: string) {
  if (subset === "") return trafficPolicy?.tunnel;
  return subsets.find(({ name }) => name === subset)?.trafficPolicy?.tunnel;
}

function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
