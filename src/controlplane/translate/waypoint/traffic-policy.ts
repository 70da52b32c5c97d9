/** What a DestinationRule's traffic policy makes of a cluster: pools, breakers, ejection, balancing. */
import type {
  ConnectionPoolSpec,
  LoadBalancerSpec,
  OutlierSpec,
  TcpKeepaliveSpec,
} from "../../../shared/objects/kinds/destination-rule.ts";
import {
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
} from "../../../shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import type { HttpProtocolOptionsSchema } from "../../../shared/wire/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import type { PortPolicy } from "./destination-rules.ts";
import type { Mesh } from "./mesh.ts";
import { isHttp, isHttp2, isSniffed } from "./protocols.ts";
import type { L7Port, L7Service } from "./services.ts";
import { asDownstream, type ClusterInit, unlimited } from "./static-clusters.ts";
import { durationOf, type Init, maybeDuration } from "./wire.ts";

export type HttpOptions = Init<typeof HttpProtocolOptionsSchema>;

export interface PoolResult {
  readonly fields: Partial<ClusterInit>;
  /** Undefined when nothing about HTTP is said: then the cluster has no such options. */
  readonly http: HttpOptions | undefined;
}

const http2 = {
  case: "explicitHttpConfig",
  value: { protocolConfig: { case: "http2ProtocolOptions", value: {} } },
} as const;

/** The protocol towards endpoints, from the port's own; then what the pool settings say. */
export function applyPool(mesh: Mesh, port: L7Port, policy: PortPolicy | undefined): PoolResult {
  const pool = policy?.connectionPool;
  const { tcp, http } = pool ?? {};
  const idleTimeout = http?.idleTimeout ?? tcp?.idleTimeout;
  const common = {
    ...(idleTimeout === undefined ? {} : { idleTimeout: durationOf(idleTimeout) }),
    ...orNothing("maxRequestsPerConnection", http?.maxRequestsPerConnection),
    ...(tcp?.maxConnectionDuration === undefined
      ? {}
      : { maxConnectionDuration: durationOf(tcp.maxConnectionDuration) }),
  };
  const protocol = upstreamProtocol(mesh, port, http);
  // Settings of HTTP/2 alone make the options exist as well, even if they then say nothing.
  const saysSomething =
    Object.keys(common).length > 0 ||
    (http?.maxConcurrentStreams ?? 0) > 0 ||
    http?.http2KeepAlive !== undefined;
  const keepalive = tcpKeepalive(mesh.tcpKeepalive, tcp?.tcpKeepalive);
  return {
    fields: {
      connectTimeout: durationOf(tcp?.connectTimeout ?? mesh.connectTimeoutMs),
      circuitBreakers: { thresholds: [thresholds(pool, policy?.retryBudget)] },
      ...(keepalive === undefined
        ? {}
        : { upstreamConnectionOptions: { tcpKeepalive: keepalive } }),
    },
    http:
      protocol === undefined && !saysSomething
        ? undefined
        : {
            ...(saysSomething ? { commonHttpProtocolOptions: common } : {}),
            ...(protocol === undefined ? {} : { upstreamProtocolOptions: protocol }),
          },
  };
}

function orNothing<K extends string>(key: K, value: number | undefined) {
  return value === undefined || value === 0 ? {} : ({ [key]: value } as Record<K, number>);
}

function upstreamProtocol(
  mesh: Mesh,
  { protocol }: L7Port,
  http: ConnectionPoolSpec["http"],
): HttpOptions["upstreamProtocolOptions"] {
  if (http?.useClientProtocol === true) return asDownstream;
  if (isHttp2(protocol)) return withHttp2Settings(http);
  // What the port says by sniffing stands before an upgrade: it is settled by then.
  if (isSniffed(protocol)) return asDownstream;
  return upgrades(mesh, protocol, http) ? http2 : undefined;
}

function upgrades(
  mesh: Mesh,
  protocol: L7Port["protocol"],
  http: ConnectionPoolSpec["http"],
): boolean {
  if (http?.h2UpgradePolicy === "UPGRADE") return true;
  if (http?.h2UpgradePolicy === "DO_NOT_UPGRADE") return false;
  return isHttp(protocol) && mesh.upgradesToHttp2;
}

function withHttp2Settings(
  http: ConnectionPoolSpec["http"],
): HttpOptions["upstreamProtocolOptions"] {
  const keepAlive = http?.http2KeepAlive;
  return {
    case: "explicitHttpConfig",
    value: {
      protocolConfig: {
        case: "http2ProtocolOptions",
        value: {
          ...orNothing("maxConcurrentStreams", http?.maxConcurrentStreams),
          ...(keepAlive === undefined
            ? {}
            : {
                connectionKeepalive: {
                  ...(keepAlive.interval === undefined
                    ? {}
                    : { interval: durationOf(keepAlive.interval) }),
                  ...(keepAlive.timeout === undefined
                    ? {}
                    : { timeout: durationOf(keepAlive.timeout) }),
                },
              }),
        },
      },
    },
  };
}

const DEFAULT_BUDGET_PERCENT = 20;
const DEFAULT_BUDGET_CONCURRENCY = 3;

function thresholds(pool: ConnectionPoolSpec | undefined, budget: PortPolicy["retryBudget"]) {
  const { tcp, http } = pool ?? {};
  const interval = maybeDuration(budget?.budgetInterval);
  return {
    maxConnections: tcp?.maxConnections || unlimited.maxConnections,
    maxPendingRequests: http?.http1MaxPendingRequests || unlimited.maxPendingRequests,
    maxRequests: http?.http2MaxRequests || unlimited.maxRequests,
    maxRetries: http?.maxRetries || unlimited.maxRetries,
    ...(budget === undefined
      ? {}
      : {
          retryBudget: {
            budgetPercent: { value: budget.percent ?? DEFAULT_BUDGET_PERCENT },
            minRetryConcurrency: budget.minRetryConcurrency || DEFAULT_BUDGET_CONCURRENCY,
            ...(interval === undefined ? {} : { budgetInterval: interval }),
          },
        }),
  };
}

/** The rule's settings over the mesh's, one by one; without any, the system's defaults stay. */
function tcpKeepalive(ofMesh: TcpKeepaliveSpec | undefined, ofRule: TcpKeepaliveSpec | undefined) {
  if (ofMesh === undefined && ofRule === undefined) return undefined;
  const time = ofRule?.time ?? ofMesh?.time;
  const interval = ofRule?.interval ?? ofMesh?.interval;
  return {
    ...orNothing("keepaliveProbes", ofRule?.probes || ofMesh?.probes),
    ...(time === undefined ? {} : { keepaliveTime: Math.floor(time / 1000) }),
    ...(interval === undefined ? {} : { keepaliveInterval: Math.floor(interval / 1000) }),
  };
}

export function outlierDetection(spec: OutlierSpec): NonNullable<ClusterInit["outlierDetection"]> {
  const { consecutive5xxErrors, consecutiveGatewayErrors, consecutiveLocalOriginFailures } = spec;
  const interval = maybeDuration(spec.interval);
  const baseEjectionTime = maybeDuration(spec.baseEjectionTime);
  return {
    // Of the reference's two families of ejection, success rates are never used.
    enforcingSuccessRate: 0,
    ...(consecutive5xxErrors === undefined
      ? {}
      : {
          consecutive5xx: consecutive5xxErrors,
          enforcingConsecutive5xx: consecutive5xxErrors > 0 ? 100 : 0,
        }),
    ...(consecutiveGatewayErrors === undefined
      ? {}
      : {
          consecutiveGatewayFailure: consecutiveGatewayErrors,
          enforcingConsecutiveGatewayFailure: consecutiveGatewayErrors > 0 ? 100 : 0,
        }),
    ...(interval === undefined ? {} : { interval }),
    ...(baseEjectionTime === undefined ? {} : { baseEjectionTime }),
    ...orNothing("maxEjectionPercent", spec.maxEjectionPercent),
    ...(spec.splitExternalLocalOriginErrors
      ? {
          splitExternalLocalOriginErrors: true,
          enforcingLocalOriginSuccessRate: 0,
          ...((consecutiveLocalOriginFailures ?? 0) > 0
            ? {
                consecutiveLocalOriginFailure: consecutiveLocalOriginFailures ?? 0,
                enforcingConsecutiveLocalOriginFailure: 100,
              }
            : {}),
        }
      : {}),
  };
}

/** Traffic that stays close needs to know who is not ready, to spill over in time. */
export function forcesUnready({ distribution }: L7Service): boolean {
  return distribution !== "Any";
}

/** Share of healthy endpoints below which health is ignored. */
export function panicThreshold(
  service: L7Service,
  outlier: OutlierSpec | undefined,
): { readonly value: number } {
  if (outlier !== undefined && outlier.minHealthPercent >= 0)
    return { value: forcesUnready(service) ? 0 : outlier.minHealthPercent };
  // Unready endpoints may be among those we send, and panic would send requests to them.
  return { value: 0 };
}

interface Balancing {
  readonly fields: Partial<ClusterInit>;
  /** Connections go where they were going: no endpoints, no balancing. */
  readonly passthrough: boolean;
}

const passthrough: Balancing = {
  fields: {
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.ORIGINAL_DST },
  },
  passthrough: true,
};

const DEFAULT_RING_SIZE = 1024n;

export function balancing(lb: LoadBalancerSpec | undefined): Balancing {
  if (lb?.simple === "PASSTHROUGH") return passthrough;
  const simple = simpleBalancing(lb);
  if (lb?.consistentHash === undefined) return { fields: simple, passthrough: false };
  const fields: Partial<ClusterInit> = { ...simple, ...hashing(lb.consistentHash) };
  return { fields, passthrough: false };
}

function simpleBalancing(lb: LoadBalancerSpec | undefined): Partial<ClusterInit> {
  const slowStartConfig = slowStart(lb);
  switch (lb?.simple) {
    case "RANDOM":
      return { lbPolicy: Cluster_LbPolicy.RANDOM };
    case "ROUND_ROBIN":
      return {
        lbPolicy: Cluster_LbPolicy.ROUND_ROBIN,
        ...(slowStartConfig === undefined
          ? {}
          : { lbConfig: { case: "roundRobinLbConfig", value: { slowStartConfig } } }),
      };
    default:
      return {
        lbPolicy: Cluster_LbPolicy.LEAST_REQUEST,
        ...(slowStartConfig === undefined
          ? {}
          : { lbConfig: { case: "leastRequestLbConfig", value: { slowStartConfig } } }),
      };
  }
}

function slowStart(lb: LoadBalancerSpec | undefined) {
  if (lb?.warmup !== undefined) {
    const { duration, aggression = 1, minimumPercent = 10 } = lb.warmup;
    return {
      slowStartWindow: durationOf(duration),
      // The key names no runtime value; the reference has this one because Envoy wants one.
      aggression: { defaultValue: aggression, runtimeKey: "(" },
      minWeightPercent: { value: minimumPercent },
    };
  }
  return lb?.warmupDurationSecs === undefined
    ? undefined
    : { slowStartWindow: durationOf(lb.warmupDurationSecs) };
}

function hashing(hash: NonNullable<LoadBalancerSpec["consistentHash"]>): Partial<ClusterInit> {
  const ring = (size: bigint): Partial<ClusterInit> => ({
    lbPolicy: Cluster_LbPolicy.RING_HASH,
    lbConfig: { case: "ringHashLbConfig", value: { minimumRingSize: size } },
  });
  if (hash.maglev !== undefined)
    return {
      lbPolicy: Cluster_LbPolicy.MAGLEV,
      ...(hash.maglev.tableSize === 0
        ? {}
        : {
            lbConfig: {
              case: "maglevLbConfig",
              value: { tableSize: BigInt(hash.maglev.tableSize) },
            },
          }),
    };
  if (hash.ringHash !== undefined)
    return hash.ringHash.minimumRingSize === 0
      ? { lbPolicy: Cluster_LbPolicy.RING_HASH }
      : ring(BigInt(hash.ringHash.minimumRingSize));
  return ring(hash.minimumRingSize === 0 ? DEFAULT_RING_SIZE : BigInt(hash.minimumRingSize));
}
