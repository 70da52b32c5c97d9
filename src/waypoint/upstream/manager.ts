/** All clusters of the waypoint. Updates change what they name and leave alone everything else. */
import { isDeepStrictEqual } from "node:util";
import type { ClusterConfig } from "../model/cluster.ts";
import type { Assignment } from "../model/endpoints.ts";
import { defaultTunnelSettings, type TunnelSettings } from "./dial/tunnels.ts";
import { type ClusterDeps, LiveCluster } from "./live-cluster.ts";
import type { Cluster, Clusters } from "./upstream.ts";
import { type ClusterView, viewOf } from "./view.ts";

export interface ManagerDeps extends ClusterDeps {
  /** What the fixed cluster connect_originate says about tunnels. */
  readonly configureTunnels: (settings: TunnelSettings) => void;
  /** Our network, for gateways of others. */
  readonly network: string;
}

export class ClusterManager implements Clusters {
  readonly #deps: ManagerDeps;
  #live: ReadonlyMap<string, LiveCluster> = new Map();

  constructor(deps: ManagerDeps) {
    this.#deps = deps;
  }

  get(name: string): Cluster | undefined {
    return this.#live.get(name);
  }

  /**
   * Makes exactly these current. Endpoints are by the name that an EDS cluster asks for. Returns the view of this update, in
   * which clusters of later ones do not appear; the clusters themselves are the living ones.
   */
  update(
    clusters: ReadonlyMap<string, ClusterConfig>,
    endpoints: ReadonlyMap<string, Assignment>,
  ): Clusters {
    const next = new Map<string, LiveCluster>();
    for (const [name, config] of clusters) {
      const cluster = this.#updated(config);
      next.set(name, cluster);
      if (config.discovery.kind !== "eds") continue;
      const assignment = endpoints.get(config.discovery.serviceName);
      if (assignment !== undefined) assign(cluster, assignment);
    }
    for (const [name, cluster] of this.#live) if (next.get(name) !== cluster) cluster.close();
    this.#live = next;
    this.#configureTunnels(next.get("connect_originate")?.config);
    return { get: (name) => next.get(name) };
  }

  /** Whether its endpoints are known. A cluster that does not exist is waited for by nobody. */
  isWarm(name: string): boolean {
    return this.#live.get(name)?.discovery.warm ?? true;
  }

  /** Settles when all of them are warm, or gone. */
  async whenWarm(names: Iterable<string>): Promise<void> {
    await Promise.all([...names].map((name) => this.#live.get(name)?.discovery.whenWarm()));
  }

  views(): readonly ClusterView[] {
    return [...this.#live.values()].map(viewOf);
  }

  /** What outlier detection says of one endpoint, by its printed address. */
  endpoint(cluster: string, hostText: string): { readonly ejected: boolean } | undefined {
    for (const endpoint of this.#live.get(cluster)?.discovery.all() ?? [])
      if (endpoint.hostText === hostText)
        return { ejected: endpoint.outlier.ejectedAtMs !== undefined };
    return undefined;
  }

  /** Cuts everything. */
  destroy(detail: string): void {
    for (const cluster of this.#live.values()) cluster.cut(detail);
    this.close();
  }

  /** Connections end with their last request. */
  close(): void {
    for (const cluster of this.#live.values()) cluster.close();
    this.#live = new Map();
  }

  #updated(config: ClusterConfig): LiveCluster {
    const live = this.#live.get(config.name);
    if (live === undefined) return new LiveCluster(config, this.#deps);
    const before = live.config;
    if (before === config || isDeepStrictEqual(before, config)) return live;
    if (!isDeepStrictEqual(before.discovery, config.discovery))
      return new LiveCluster(config, this.#deps);
    live.reconfigure(config, !sameConnections(before, config));
    return live;
  }

  #configureTunnels(config: ClusterConfig | undefined): void {
    const { configureTunnels, network } = this.#deps;
    configureTunnels(
      config === undefined ? { ...defaultTunnelSettings, network } : tunnelsOf(config, network),
    );
  }
}

/** Whether a connection opened under the one is right under the other. */
function sameConnections(before: ClusterConfig, after: ClusterConfig): boolean {
  return (
    isDeepStrictEqual(before.http, after.http) &&
    isDeepStrictEqual(before.transport, after.transport) &&
    isDeepStrictEqual(before.transportMatches, after.transportMatches) &&
    isDeepStrictEqual(before.keepAlive, after.keepAlive) &&
    before.connectTimeoutMs === after.connectTimeoutMs
  );
}

function assign(cluster: LiveCluster, assignment: Assignment): void {
  const before = cluster.discovery.assignment;
  if (before === assignment || isDeepStrictEqual(before, assignment)) return;
  cluster.assign(assignment);
}

function tunnelsOf(config: ClusterConfig, network: string): TunnelSettings {
  const { http, transport, connectTimeoutMs } = config;
  return {
    connectTimeoutMs,
    idleMs: http.idleTimeoutMs,
    streamWindowBytes: http.http2.streamWindowBytes,
    connectionWindowBytes: http.http2.connectionWindowBytes,
    acceptedPeers: transport.tls?.peer.names,
    network,
  };
}
