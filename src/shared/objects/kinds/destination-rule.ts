/** DestinationRule: how a client balances over a host, limits and encrypts what it sends. */
import {
  anything,
  boolean,
  defaulted,
  type Infer,
  integer,
  list,
  object,
  oneOf,
  optional,
  port,
  record,
  required,
  string,
} from "../schema.ts";
import { condition, labels } from "./core.ts";
import { duration, MAX_INT32, MAX_UINT32, number } from "./scalars.ts";

const strings = list(string);
const count = integer(0, MAX_INT32);
const unsigned = integer(0, MAX_UINT32);
const size = integer(0, Number.MAX_SAFE_INTEGER);

export const localityLbSetting = object({
  enabled: optional(boolean),
  distribute: defaulted(
    list(object({ from: defaulted(string, ""), to: defaulted(record(unsigned), {}) })),
    [],
  ),
  failover: defaulted(list(object({ from: defaulted(string, ""), to: defaulted(string, "") })), []),
  failoverPriority: defaulted(strings, []),
});

const consistentHash = object({
  httpHeaderName: optional(string),
  httpCookie: optional(
    object({
      name: required(string),
      path: defaulted(string, ""),
      ttl: optional(duration),
      attributes: defaulted(
        list(object({ name: required(string), value: defaulted(string, "") })),
        [],
      ),
    }),
  ),
  useSourceIp: optional(boolean),
  httpQueryParameterName: optional(string),
  ringHash: optional(object({ minimumRingSize: defaulted(size, 0) })),
  maglev: optional(object({ tableSize: defaulted(size, 0) })),
  minimumRingSize: defaulted(size, 0),
});

const loadBalancer = object({
  simple: defaulted(
    oneOf("UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"),
    "UNSPECIFIED",
  ),
  consistentHash: optional(consistentHash),
  localityLbSetting: optional(localityLbSetting),
  zoneAwareLbSetting: optional(anything),
  backendUtilization: optional(anything),
  warmupDurationSecs: optional(duration),
  warmup: optional(
    object({
      duration: required(duration),
      minimumPercent: optional(number(0, 100)),
      aggression: optional(number(0, Number.MAX_SAFE_INTEGER)),
    }),
  ),
});

export const tcpKeepalive = object({
  probes: defaulted(unsigned, 0),
  time: optional(duration),
  interval: optional(duration),
});

const connectionPool = object({
  tcp: optional(
    object({
      maxConnections: defaulted(count, 0),
      connectTimeout: optional(duration),
      tcpKeepalive: optional(tcpKeepalive),
      maxConnectionDuration: optional(duration),
      idleTimeout: optional(duration),
    }),
  ),
  http: optional(
    object({
      http1MaxPendingRequests: defaulted(count, 0),
      http2MaxRequests: defaulted(count, 0),
      maxRequestsPerConnection: defaulted(count, 0),
      maxRetries: defaulted(count, 0),
      idleTimeout: optional(duration),
      h2UpgradePolicy: defaulted(oneOf("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"), "DEFAULT"),
      useClientProtocol: defaulted(boolean, false),
      maxConcurrentStreams: defaulted(count, 0),
      http2KeepAlive: optional(
        object({ interval: optional(duration), timeout: optional(duration) }),
      ),
    }),
  ),
});

const outlierDetection = object({
  consecutiveErrors: defaulted(count, 0),
  splitExternalLocalOriginErrors: defaulted(boolean, false),
  consecutiveLocalOriginFailures: optional(unsigned),
  consecutiveGatewayErrors: optional(unsigned),
  consecutive5xxErrors: optional(unsigned),
  interval: optional(duration),
  baseEjectionTime: optional(duration),
  maxEjectionPercent: defaulted(integer(0, 100), 0),
  minHealthPercent: defaulted(integer(-1, 100), 0),
  outlierDetectionHttpErrorCodes: defaulted(list(integer(100, 599)), []),
});

const clientTls = object({
  mode: defaulted(oneOf("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"), "DISABLE"),
  clientCertificate: defaulted(string, ""),
  privateKey: defaulted(string, ""),
  caCertificates: defaulted(string, ""),
  credentialName: defaulted(string, ""),
  subjectAltNames: defaulted(strings, []),
  sni: defaulted(string, ""),
  insecureSkipVerify: optional(boolean),
  caCrl: defaulted(string, ""),
});

const perPort = {
  loadBalancer: optional(loadBalancer),
  connectionPool: optional(connectionPool),
  outlierDetection: optional(outlierDetection),
  tls: optional(clientTls),
};

const trafficPolicy = object({
  ...perPort,
  portLevelSettings: defaulted(
    list(object({ port: optional(object({ number: required(port) })), ...perPort })),
    [],
  ),
  tunnel: optional(
    object({
      protocol: defaulted(string, "CONNECT"),
      targetHost: required(string),
      targetPort: required(port),
    }),
  ),
  proxyProtocol: optional(object({ version: defaulted(oneOf("V1", "V2"), "V1") })),
  retryBudget: optional(
    object({
      percent: optional(number(0, 100)),
      budgetInterval: optional(duration),
      minRetryConcurrency: defaulted(unsigned, 0),
    }),
  ),
});

const subset = object({
  name: required(string),
  labels: defaulted(labels, {}),
  trafficPolicy: optional(trafficPolicy),
});

const destinationRuleSpec = object({
  host: required(string),
  trafficPolicy: optional(trafficPolicy),
  subsets: defaulted(list(subset), []),
  exportTo: defaulted(strings, []),
  workloadSelector: optional(object({ matchLabels: defaulted(labels, {}) })),
});

export const destinationRuleBody = object({
  spec: required(destinationRuleSpec),
  status: optional(object({ conditions: defaulted(list(condition), []) }, { open: true })),
});

export type DestinationRuleSpec = Infer<typeof destinationRuleSpec>;
export type TrafficPolicySpec = Infer<typeof trafficPolicy>;
export type LoadBalancerSpec = Infer<typeof loadBalancer>;
export type ConsistentHashSpec = Infer<typeof consistentHash>;
export type ConnectionPoolSpec = Infer<typeof connectionPool>;
export type OutlierSpec = Infer<typeof outlierDetection>;
export type ClientTlsSpec = Infer<typeof clientTls>;
export type LocalityLbSpec = Infer<typeof localityLbSetting>;
export type TcpKeepaliveSpec = Infer<typeof tcpKeepalive>;
