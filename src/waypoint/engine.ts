/**
 * What turns resources into served requests, put together: compilers, live clusters, filters' environment, telemetry, and what
 * serves a connection on a chain. One object for the life of the process.
 */
import type { AdminHandler } from "../shared/admin/http-server.ts";
import type { Clock } from "../shared/base/clock.ts";
import { xxHash64 } from "../shared/base/xxhash64.ts";
import type { SecretSource } from "../shared/identity/secret-source.ts";
import { formatSpiffe } from "../shared/identity/spiffe.ts";
import type { PodNetwork } from "../shared/os/network.ts";
import type { Logger } from "../shared/telemetry/logger.ts";
import type { EndpointHealthOf } from "./admin/clusters-page.ts";
import { compileCluster } from "./compile/cluster.ts";
import { compileAssignment } from "./compile/endpoints.ts";
import { compileHooks } from "./compile/hooks.ts";
import { compileMainListener } from "./compile/main-listener.ts";
import { checkWayOut } from "./compile/way-out.ts";
import type { WaypointConfig } from "./config.ts";
import { ClusterCalls } from "./filters/cluster-calls.ts";
import { DecisionCounters } from "./filters/counters.ts";
import { RemoteKeySets } from "./filters/jwt/remote-key-sets.ts";
import type { DownstreamInfo } from "./http/stream.ts";
import type { ClusterConfig } from "./model/cluster.ts";
import type { Assignment } from "./model/endpoints.ts";
import type { TransportConfig } from "./model/upstream-transport.ts";
import type { SecretBook } from "./secrets/secret-book.ts";
import { runTcp } from "./tcp/connection.ts";
import { defaultRing } from "./telemetry/decisions/ring.ts";
import type { PeerWorkload } from "./telemetry/record.ts";
import type { RequestTelemetry } from "./telemetry/request-telemetry.ts";
import { createTelemetry, type Telemetry } from "./telemetry/telemetry.ts";
import { failedTunnel } from "./telemetry/way-out.ts";
import type { ChainServers } from "./terminate/chain-servers.ts";
import { serveHttp } from "./terminate/http-server.ts";
import { unmatchedRecord } from "./terminate/unmatched.ts";
import type { Clusters } from "./upstream/upstream.ts";
import { createUpstreams, type Upstreams } from "./upstream/upstreams.ts";
import { waypointWhyRoutes } from "./why/routes.ts";
import type { WorkloadIndex } from "./workloads/index.ts";
import type { LiveClusters, ResourceCompilers } from "./xds/compilers.ts";
import type { StateHolder } from "./xds/state.ts";
import { compileTerminate } from "./xds/terminate-plan.ts";

export interface EngineDeps {
  readonly config: WaypointConfig;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly version: string;
  readonly variable: (name: string) => string | undefined;
  readonly secrets: SecretSource;
  readonly secretBook: SecretBook;
  readonly network: PodNetwork;
  readonly state: StateHolder;
  readonly workloads: WorkloadIndex;
  readonly sourcePeer: (downstream: DownstreamInfo) => PeerWorkload | undefined;
}

export interface Engine {
  readonly compilers: ResourceCompilers<ClusterConfig, Assignment>;
  readonly live: LiveClusters<ClusterConfig, Assignment>;
  readonly servers: ChainServers;
  readonly endpointHealth: EndpointHealthOf;
  readonly metrics: () => string;
  /** Envoy's counters of what filters decided. */
  readonly decisionCounts: () => DecisionCounters["values"];
  /** Paths of telemetry on the admin port. */
  readonly adminRoutes: Readonly<Record<string, AdminHandler>>;
  close(): Promise<void>;
}

export function createEngine(deps: EngineDeps): Engine {
  const { clock, state } = deps;
  // Of the configuration in force at each call: filters and exchanges live longer than one.
  const clusters: Clusters = { get: (name) => state.current.clusters.get(name) };
  const upstreams = upstreamsOf(deps);
  const calls = new ClusterCalls(clusters, clock);
  const keySets = new RemoteKeySets(calls, clock);
  const counters = new DecisionCounters();
  const telemetry = telemetryOf(deps, calls);
  const hooks = compileHooks({ clock, calls, keySets, counters }, telemetry.environment);
  return {
    compilers: {
      cluster: (message, notes) => compileCluster(message, notes, message.name),
      endpointsName: ({ discovery }) =>
        discovery.kind === "eds" ? discovery.serviceName : undefined,
      secretNames,
      endpoints: (message, notes) => compileAssignment(message, notes, message.clusterName),
      main: (bytes, notes, previous) => compileMainListener(bytes, notes, hooks, previous?.cache),
      terminate: (bytes, notes) => compileTerminate(bytes, notes, hooks.accessLogs),
      wayOut: (bytes, notes) => checkWayOut(bytes, notes, hooks.accessLogs),
    },
    live: upstreams.clusters,
    servers: serversOf(deps, clusters, telemetry),
    endpointHealth: (cluster, address) =>
      upstreams.clusters
        .views()
        .find(({ name }) => name === cluster)
        ?.endpoints.find(({ hostText }) => hostText === address),
    metrics: () => telemetry.renderMetrics(),
    decisionCounts: () => counters.values,
    adminRoutes: { ...telemetry.routes, ...whyOf(deps, upstreams) },
    close: async () => {
      keySets.close();
      await telemetry.close();
      upstreams.destroy();
    },
  };
}

/** `/debug/why`, from the configuration in force. */
function whyOf({ config, state, clock }: EngineDeps, upstreams: Upstreams): Engine["adminRoutes"] {
  return waypointWhyRoutes(() => {
    const { clusters, main } = state.current;
    const views = new Map(upstreams.clusters.views().map((view) => [view.name, view]));
    return {
      matcher: main?.matcher,
      identity: formatSpiffe(config.identity),
      clock,
      clusters: {
        has: (name) => clusters.get(name) !== undefined,
        endpoints: (name) => {
          const view = views.get(name);
          // Where the client or a name decides, endpoints come and go with requests.
          return view === undefined || !listsEndpoints(view.config)
            ? undefined
            : view.endpoints.map(({ address, health, ejected }) => ({
                address,
                healthy: health !== "unhealthy" && !ejected,
              }));
        },
      },
    };
  });
}

function listsEndpoints({ discovery }: ClusterConfig): boolean {
  return discovery.kind === "eds" || discovery.kind === "static";
}

function upstreamsOf(deps: EngineDeps): Upstreams {
  const { config, clock, random, network, secrets, secretBook, workloads } = deps;
  return createUpstreams({
    clock,
    random,
    network,
    secrets: {
      workload: (signal) => secrets.fetch(config.identity, "real-time", signal),
      certificate: (name) => secretBook.certificate(name),
      trust: (name) => secretBook.trust(name),
    },
    peerOf: (ip) => workloads.byAddress(ip),
    networkName: config.network,
  });
}

function telemetryOf(deps: EngineDeps, calls: ClusterCalls): Telemetry {
  const { config, clock, random, logger, version, variable } = deps;
  const { node, pod } = config;
  return createTelemetry({
    clock,
    random,
    log: logger.scope("telemetry"),
    proxy: {
      nodeId: node.id,
      nodeCluster: node.cluster ?? "",
      ip: pod.ips[0] ?? "",
      namespace: pod.namespace,
      istioVersion: String(node.metadata["ISTIO_VERSION"] ?? ""),
      metadata: node.metadata,
    },
    version,
    variable,
    calls,
    buckets: config.histogramBuckets,
    decisions: {
      ...defaultRing,
      refusals: config.decisionRingSize,
      passed: Math.floor(config.decisionRingSize / 4),
    },
  });
}

function serversOf(deps: EngineDeps, clusters: Clusters, telemetry: Telemetry): ChainServers {
  const { clock, random, state, sourcePeer } = deps;
  const requests: RequestTelemetry = {
    ...telemetry.requests,
    finish: (chain, record, trace, source) => {
      telemetry.requests.finish(chain, record, trace, source);
      const { wayOutLogs = [] } = state.current;
      const failed = wayOutLogs.length === 0 ? undefined : failedTunnel(record);
      if (failed !== undefined) for (const log of wayOutLogs) log.write(failed);
    },
  };
  const exchange = { clusters, telemetry: requests, clock, random, sourcePeer };
  const tcp = { ...exchange, hash: (text: string) => xxHash64(Buffer.from(text)) };
  const serving = {
    exchange,
    chain: (name: string) => state.current.main?.chains.get(name),
    clock,
  };
  return {
    http: (chain, codec, opening, downstream) =>
      serveHttp(serving, chain, codec, opening, downstream),
    tcp: (chain, opening, downstream) => {
      const connection = runTcp(tcp, chain, opening, downstream);
      return {
        // What flows is not ours to end; the deadline of the shutdown is.
        drain: () => undefined,
        abort: (details) => connection.abort(details),
        done: connection.done,
      };
    },
    unmatched: (downstream) => {
      const record = unmatchedRecord(downstream, clock.wallMs(), sourcePeer(downstream));
      for (const log of state.current.main?.accessLogs ?? []) log.write(record);
    },
  };
}

/** Key material that has to be delivered: what is not our own, not in place, and not the machine's. */
function secretNames(plan: ClusterConfig): readonly string[] {
  const names = new Set<string>();
  const add = ({ tls }: TransportConfig): void => {
    if (tls?.certificate?.kind === "secret") names.add(tls.certificate.name);
    if (tls?.trust.kind === "secret") names.add(tls.trust.name);
  };
  add(plan.transport);
  for (const { transport } of plan.transportMatches) add(transport);
  return [...names];
}
