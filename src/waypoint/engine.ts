/**
 * What turns resources into served requests, put together: compilers, live clusters, filters' environment, telemetry, and what
 * serves a connection on a chain. One object for the life of the process.
 */
import type { AdminHandler } from "../shared/admin/http-server.ts";
import type { Clock } from "../shared/base/clock.ts";
import { xxHash64 } from "../shared/base/xxhash64.ts";
import type { SecretSource } from "../shared/identity/secret-source.ts";
import type { PodNetwork } from "../shared/os/network.ts";
import type { Logger } from "../shared/telemetry/logger.ts";
import type { Metrics } from "../shared/telemetry/metrics.ts";
import type { EndpointHealthOf } from "./admin/clusters-page.ts";
import { compileCluster } from "./compile/cluster.ts";
import { compileAssignment } from "./compile/endpoints.ts";
import { compileHooks } from "./compile/hooks.ts";
import { compileMainListener } from "./compile/main-listener.ts";
import type { WaypointConfig } from "./config.ts";
import { ClusterCalls } from "./filters/cluster-calls.ts";
import { RemoteKeySets } from "./filters/jwt/remote-key-sets.ts";
import type { DownstreamInfo } from "./http/stream.ts";
import type { ClusterConfig } from "./model/cluster.ts";
import type { Assignment } from "./model/endpoints.ts";
import type { TransportConfig } from "./model/upstream-transport.ts";
import type { SecretBook } from "./secrets/secret-book.ts";
import { runTcp } from "./tcp/connection.ts";
import type { TelemetryEnvironment } from "./telemetry/environment.ts";
import type { PeerWorkload, StreamRecord } from "./telemetry/record.ts";
import { noTelemetry } from "./telemetry/request-telemetry.ts";
import type { ChainServers } from "./terminate/chain-servers.ts";
import { serveHttp } from "./terminate/http-server.ts";
import type { Clusters } from "./upstream/upstream.ts";
import type { WorkloadIndex } from "./workloads/index.ts";
import type { LiveClusters, ResourceCompilers } from "./xds/compilers.ts";
import type { StateHolder } from "./xds/state.ts";
import { compileTerminate } from "./xds/terminate-plan.ts";

export interface EngineDeps {
  readonly config: WaypointConfig;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly registry: Metrics;
  readonly version: string;
  readonly variable: (name: string) => string | undefined;
  readonly secrets: SecretSource;
  readonly secretBook: SecretBook;
  readonly network: PodNetwork;
  readonly state: StateHolder;
  readonly workloads: WorkloadIndex;
  readonly sourcePeer: (downstream: DownstreamInfo) => PeerWorkload | undefined;
  readonly live: LiveClusters<ClusterConfig, Assignment>;
}

export interface Engine {
  readonly compilers: ResourceCompilers<ClusterConfig, Assignment>;
  readonly live: LiveClusters<ClusterConfig, Assignment>;
  readonly servers: ChainServers;
  readonly endpointHealth: EndpointHealthOf;
  /** Paths of telemetry on the admin port. */
  readonly adminRoutes: Readonly<Record<string, AdminHandler>>;
  close(): Promise<void>;
}

export function createEngine(deps: EngineDeps): Engine {
  const { clock, random, state, sourcePeer } = deps;
  // Of the configuration in force at each call: filters and exchanges live longer than one.
  const clusters: Clusters = { get: (name) => state.current.clusters.get(name) };
  const calls = new ClusterCalls(clusters, clock);
  const keySets = new RemoteKeySets(calls, clock);
  const telemetry = noTelemetry;
  const hooks = compileHooks({ clock, calls, keySets }, environmentOf(deps));
  const exchange = { clusters, telemetry, clock, random, sourcePeer };
  const tcp = { ...exchange, hash: (text: string) => xxHash64(Buffer.from(text)) };
  const serving = {
    exchange,
    chain: (name: string) => state.current.main?.chains.get(name),
    clock,
  };
  return {
    compilers: {
      cluster: (message, notes) => compileCluster(message, notes, message.name),
      endpointsName: ({ discovery }) =>
        discovery.kind === "eds" ? discovery.serviceName : undefined,
      secretNames,
      endpoints: (message, notes) => compileAssignment(message, notes, message.clusterName),
      main: (bytes, notes, previous) => compileMainListener(bytes, notes, hooks, previous?.cache),
      terminate: (bytes, notes) => compileTerminate(bytes, notes, hooks.accessLogs),
    },
    live: deps.live,
    servers: {
      http: (chain, codec, opening, downstream) =>
        serveHttp(serving, chain, codec, opening, downstream),
      tcp: (chain, opening, downstream) => {
        const connection = runTcp(tcp, chain, opening, downstream);
        // What flows is not ours to end; the deadline of the shutdown is.
        return {
          drain: () => undefined,
          abort: (details) => connection.abort(details),
          done: connection.done,
        };
      },
      unmatched: (downstream) => unmatched(deps, downstream),
    },
    endpointHealth: () => undefined,
    adminRoutes: {},
    close: async () => {
      keySets.close();
    },
  };
}

function environmentOf({
  config,
  version,
  variable,
  logger,
  random,
}: EngineDeps): TelemetryEnvironment {
  const { node, pod } = config;
  return {
    proxy: {
      nodeId: node.id,
      nodeCluster: node.cluster ?? "",
      hostname: pod.name,
      ip: pod.ips[0] ?? "",
      namespace: pod.namespace,
      istioVersion: version,
      metadata: node.metadata,
    },
    sink: () => ({ write: (line) => logger.info(line) }),
    variable,
    random,
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

/** A connection that no chain takes: the listener's access log has it, with flag NR. */
function unmatched({ state, clock }: EngineDeps, downstream: DownstreamInfo): void {
  const record: StreamRecord = {
    kind: "tcp",
    chain: "",
    downstream,
    source: undefined,
    startWallMs: downstream.startedWallMs,
    durationMs: Math.max(0, clock.wallMs() - downstream.startedWallMs),
    bytesReceived: 0,
    bytesSent: 0,
    wireBytesReceived: 0,
    wireBytesSent: 0,
    flags: ["NR"],
    details: "filter_chain_not_found",
    connectionTerminationDetails: undefined,
    routeName: undefined,
    upstream: undefined,
    metadata: new Map(),
    decisions: [],
    http: undefined,
  };
  for (const log of state.current.main?.accessLogs ?? []) log.write(record);
}
