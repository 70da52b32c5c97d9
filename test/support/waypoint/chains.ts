/** Chains and routes as plain data, with the settings that the reference sends unless a test says otherwise. */
import type { HttpChain, HttpSettings } from "../../../src/waypoint/model/chain.ts";
import type { Forward, RetryPolicy, Route } from "../../../src/waypoint/model/route.ts";
import { noMutations } from "../../../src/waypoint/routing/headers.ts";
import { routeTable, virtualHost } from "../../../src/waypoint/routing/table.ts";

export const plainSettings: HttpSettings = {
  codec: "auto",
  serverName: "istio-envoy",
  serverHeader: "overwrite",
  normalizePath: true,
  mergeSlashes: false,
  escapedSlashes: "keep",
  underscoresInNames: "allow",
  generateRequestId: true,
  preserveRequestId: false,
  alwaysSetRequestId: false,
  upgrades: new Set(["websocket"]),
  acceptHttp10: false,
  preserveHeaderCase: false,
  maxHeadBytes: 60 * 1024,
  maxHeaders: 100,
  maxConcurrentStreams: 100,
  http2: {
    streamWindowBytes: undefined,
    connectionWindowBytes: undefined,
    allowConnect: false,
    pingIntervalMs: 0,
    pingTimeoutMs: 0,
  },
  streamIdleTimeoutMs: 0,
  connectionIdleTimeoutMs: 3_600_000,
  maxConnectionDurationMs: 0,
  maxStreamDurationMs: 0,
  requestTimeoutMs: 0,
  requestHeadersTimeoutMs: 0,
  drainTimeoutMs: 5000,
  proxy100Continue: true,
  appendXForwardedPort: false,
  forwardClientCert: "sanitize",
  suppressEnvoyHeaders: false,
  useRemoteAddress: false,
  skipXffAppend: false,
  internalRanges: [],
};

export function forwardTo(cluster: string, changes: Partial<Forward> = {}): Forward {
  return {
    clusters: { kind: "one", cluster, chosen: { cluster, weighted: undefined } },
    clusterNotFoundStatus: 500,
    timeoutMs: 0,
    idleTimeoutMs: undefined,
    maxGrpcTimeoutMs: 0,
    pathRewrite: { kind: "none" },
    hostRewrite: { kind: "none" },
    appendXForwardedHost: false,
    retry: undefined,
    hashPolicy: [],
    mirrors: [],
    upgrades: new Map(),
    internalRedirect: undefined,
    ...changes,
  };
}

export function retryPolicy(
  on: readonly string[],
  changes: Partial<RetryPolicy> = {},
): RetryPolicy {
  return {
    on: new Set(on),
    retriableStatuses: [503],
    retriableHeaders: [],
    attempts: 2,
    perTryTimeoutMs: 0,
    perTryIdleTimeoutMs: 0,
    backoffBaseMs: 1,
    backoffMaxMs: 10,
    avoidPreviousHosts: true,
    hostSelectionAttempts: 5,
    previousPriorities: undefined,
    ...changes,
  };
}

export function routeOf(action: Route["action"], changes: Partial<Route> = {}): Route {
  return {
    name: "default",
    path: { kind: "prefix", value: "/", caseSensitive: true },
    headers: [],
    query: [],
    metadata: [],
    grpcOnly: false,
    fraction: undefined,
    action,
    requestHeaders: noMutations,
    responseHeaders: noMutations,
    decoratorOperation: undefined,
    origin: undefined,
    perFilter: new Map(),
    ...changes,
  };
}

export function chainOf(
  routes: readonly Route[],
  settings: Partial<HttpSettings> = {},
  changes: Partial<HttpChain> = {},
): HttpChain {
  return {
    kind: "http",
    name: "inbound-vip|80|http|web.shop.svc.cluster.local",
    routes: routeTable("inbound", [virtualHost("inbound|http|80", ["*"], routes)]),
    filters: [],
    http: { ...plainSettings, ...settings },
    accessLogs: [],
    tracing: undefined,
    stats: undefined,
    ...changes,
  };
}
