/**
 * The order in which resources take effect, as pure decisions (wire/waypoint.md section 2.4). The control plane sends clusters,
 * endpoints, listeners, in this order and each on its own: without care a new listener would point at clusters that have no
 * endpoints yet, and a removed cluster would be missing under the listener that still points at it.
 */
import type { Chain, HttpChain } from "../model/chain.ts";
import type { ClusterChoice, RouteAction, RouteTable } from "../model/route.ts";
import type { TracingProvider } from "../telemetry/config.ts";

/** Clusters that a listener's chains name: in routes, in filters, and where spans go. */
export function clustersOf(chains: Iterable<Chain>): ReadonlySet<string> {
  const names = new Set<string>();
  for (const chain of chains) {
    for (const { clusters } of chain.filters) for (const name of clusters ?? []) names.add(name);
    if (chain.kind === "http") addHttp(chain, names);
    else for (const { cluster } of chain.clusters.clusters) names.add(cluster);
  }
  return names;
}

function addHttp({ routes, tracing }: HttpChain, names: Set<string>): void {
  addRoutes(routes, names);
  const collector = collectorOf(tracing?.provider);
  if (collector !== undefined) names.add(collector);
}

function collectorOf(provider: TracingProvider | undefined): string | undefined {
  if (provider === undefined) return undefined;
  return provider.kind === "zipkin"
    ? provider.collector.cluster
    : provider.export.collector.cluster;
}

function addRoutes({ virtualHosts }: RouteTable, names: Set<string>): void {
  for (const { routes } of virtualHosts) for (const { action } of routes) addAction(action, names);
}

function addAction(action: RouteAction, names: Set<string>): void {
  if (action.kind !== "forward") return;
  addChoice(action.forward.clusters, names);
  for (const { cluster } of action.forward.mirrors) names.add(cluster);
}

function addChoice(choice: ClusterChoice, names: Set<string>): void {
  if (choice.kind === "one") names.add(choice.cluster);
  if (choice.kind === "weighted")
    for (const { cluster } of choice.clusters) if (cluster !== "") names.add(cluster);
}

/** A cluster as far as warming goes. */
export interface ClusterFact {
  /** Under which name its endpoints are asked for; undefined: it needs none. */
  readonly endpointsName: string | undefined;
}

/**
 * Clusters for whose endpoints a listener has to wait. One that does not exist at all is not waited for: a control plane names
 * such clusters on purpose where a backend cannot be resolved, and the route says what to answer.
 */
export function coldClusters(
  named: Iterable<string>,
  clusters: ReadonlyMap<string, ClusterFact>,
  hasEndpoints: (endpointsName: string) => boolean,
): readonly string[] {
  const cold: string[] = [];
  for (const name of named) {
    const endpointsName = clusters.get(name)?.endpointsName;
    if (endpointsName !== undefined && !hasEndpoints(endpointsName)) cold.push(name);
  }
  return cold;
}
