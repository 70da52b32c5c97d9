/** Clusters as plain data (wire/waypoint.md section 4.2); compiled by compile/cluster.ts, carried out by upstream/. */
import type { Assignment } from "./endpoints.ts";
import type { TransportConfig, TransportMatch } from "./upstream-transport.ts";

export interface ClusterConfig {
  readonly name: string;
  /** alt_stat_name as configured (the reference closes it with ";"), else the name. */
  readonly statName: string;
  readonly discovery: Discovery;
  readonly connectTimeoutMs: number;
  readonly balance: Balance;
  /** Below this percentage of healthy endpoints health is not looked at. 0: never. */
  readonly panicThresholdPercent: number;
  readonly localityWeighted: boolean;
  readonly breakers: BreakerLimits;
  readonly outlier: OutlierConfig | undefined;
  readonly http: UpstreamHttp;
  readonly transport: TransportConfig;
  /** The first whose labels an endpoint has replaces `transport`. */
  readonly transportMatches: readonly TransportMatch[];
  readonly keepAlive: TcpKeepAlive | undefined;
  readonly service: ClusterService | undefined;
  /** Path of the DestinationRule, for tools. */
  readonly origin: string | undefined;
  readonly subset: string | undefined;
}

export interface ClusterService {
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
}

export type Discovery =
  | { readonly kind: "eds"; readonly serviceName: string }
  | { readonly kind: "static"; readonly assignment: Assignment }
  | {
      readonly kind: "dns";
      /** Logical: one endpoint, whatever address its name has at the moment. Strict: one for each address. */
      readonly mode: "strict" | "logical";
      readonly assignment: Assignment;
      readonly dns: DnsOptions;
    }
  /** Where the client wanted to go. */
  | {
      readonly kind: "original-destination";
      /** Undefined: the client's port. */
      readonly portOverride: number | undefined;
      /** In a tunnel, as `encap` does, rather than plain. */
      readonly tunnelled: boolean;
      readonly cleanupMs: number;
    }
  /** Where the request's authority says. */
  | { readonly kind: "dynamic"; readonly dns: DnsOptions };

export type DnsFamily = "auto" | "v4-only" | "v6-only" | "v4-preferred" | "all";

export interface DnsOptions {
  readonly family: DnsFamily;
  readonly refreshMs: number;
  readonly failureRefreshMs: number;
  readonly failureRefreshMaxMs: number;
  readonly respectTtl: boolean;
  readonly jitterMs: number;
}

export interface SlowStart {
  readonly windowMs: number;
  readonly aggression: number;
  readonly minWeightPercent: number;
}

export type Balance =
  | { readonly kind: "round-robin"; readonly slowStart: SlowStart | undefined }
  | {
      readonly kind: "least-request";
      readonly choices: number;
      readonly activeRequestBias: number;
      readonly slowStart: SlowStart | undefined;
    }
  | { readonly kind: "random" }
  | {
      readonly kind: "ring-hash";
      readonly minRingSize: number;
      readonly maxRingSize: number;
      readonly byHostname: boolean;
    }
  | { readonly kind: "maglev"; readonly tableSize: number; readonly byHostname: boolean }
  /** The discovery itself says which: original destination, dynamic. */
  | { readonly kind: "provided" };

export interface BreakerLimits {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
  readonly retryBudget: { readonly percent: number; readonly minConcurrency: number } | undefined;
}

export interface OutlierConfig {
  readonly intervalMs: number;
  readonly baseEjectionMs: number;
  readonly maxEjectionMs: number;
  readonly maxEjectionJitterMs: number;
  readonly maxEjectionPercent: number;
  readonly alwaysEjectOne: boolean;
  /** Local failures are counted apart from the answers of the endpoint. */
  readonly splitLocalOrigin: boolean;
  readonly consecutive5xx: ConsecutiveRule;
  readonly consecutiveGateway: ConsecutiveRule;
  readonly consecutiveLocalOrigin: ConsecutiveRule;
  readonly successRate: {
    readonly enforcingPercent: number;
    readonly enforcingLocalOriginPercent: number;
    readonly minHosts: number;
    readonly requestVolume: number;
    /** Standard deviations below the mean, in thousandths. */
    readonly stdevFactor: number;
  };
  readonly failurePercentage: {
    readonly thresholdPercent: number;
    readonly enforcingPercent: number;
    readonly enforcingLocalOriginPercent: number;
    readonly minHosts: number;
    readonly requestVolume: number;
  };
}

export interface ConsecutiveRule {
  readonly threshold: number;
  /** How often the rule is carried out when it fires; 0 switches it off. */
  readonly enforcingPercent: number;
}

export interface UpstreamHttp {
  readonly protocol: "http1" | "http2" | "downstream";
  /** 0: never. */
  readonly idleTimeoutMs: number;
  readonly maxConnectionDurationMs: number;
  readonly maxRequestsPerConnection: number;
  readonly maxStreamDurationMs: number;
  readonly http1: { readonly preserveHeaderCase: boolean; readonly enableTrailers: boolean };
  readonly http2: {
    readonly maxConcurrentStreams: number;
    readonly streamWindowBytes: number | undefined;
    readonly connectionWindowBytes: number | undefined;
    /** PING after this time; 0: none. */
    readonly keepaliveIntervalMs: number;
    readonly keepaliveTimeoutMs: number;
  };
  /** SNI from the request's authority. */
  readonly autoSni: boolean;
  /** The certificate must be for that name. */
  readonly autoSanValidation: boolean;
}

export interface TcpKeepAlive {
  readonly idleSeconds: number | undefined;
  readonly intervalSeconds: number | undefined;
  readonly probes: number | undefined;
}
