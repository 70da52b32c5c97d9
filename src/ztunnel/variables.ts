/** Every environment variable of the ztunnel with its default and its reason (wire/ztunnel.md section 10.1). */
import {
  anyText,
  durationMs,
  flag,
  integer,
  oneOf,
  optionalText,
  variable,
} from "../shared/base/env.ts";
import {
  defaultRoot,
  ip,
  logDirectives,
  optional,
  unset,
  windowBytes,
} from "../shared/settings/values.ts";
import { parseCpuQuantity, parseWorkerThreads, type WorkerThreads } from "./worker-threads.ts";

export interface WorkloadInfo {
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
}

function workloadInfo(text: string): WorkloadInfo {
  const [namespace = "", name = "", serviceAccount = "", ...rest] = text.split("/");
  if (namespace === "" || name === "" || serviceAccount === "" || rest.length > 0)
    throw new RangeError("expected namespace/name/serviceaccount");
  return { namespace, name, serviceAccount };
}

export const variables = {
  enableProxy: variable("ENABLE_PROXY", flag, true, "the L4 proxy"),
  proxyMode: variable(
    "PROXY_MODE",
    oneOf("shared", "dedicated"),
    "shared" as const,
    "shared: pods come over ZDS; dedicated: one workload, the own network namespace",
  ),
  proxyWorkload: unset(
    "PROXY_WORKLOAD_INFO",
    optional(workloadInfo),
    "whose proxy this is; demanded in dedicated mode",
  ),
  network: variable("NETWORK", anyText, "", "network of this node"),
  nodeName: unset("NODE_NAME", optionalText, "restricts local workloads to this node"),
  clusterId: variable(
    ["ISTIO_META_CLUSTER_ID", "CLUSTER_ID"],
    anyText,
    "Kubernetes",
    "cluster this node belongs to",
  ),
  clusterDomain: variable("CLUSTER_DOMAIN", anyText, "cluster.local", "suffix of service names"),
  xdsAddress: unset(
    "XDS_ADDRESS",
    anyText,
    "control plane; discoveryAddress when not set, else istiod's service in Kubernetes and https://localhost:15012 elsewhere; empty switches xDS off",
  ),
  caAddress: unset(
    "CA_ADDRESS",
    anyText,
    "certificate authority; like XDS_ADDRESS when not set; empty switches it off",
  ),
  xdsRootCa: variable("XDS_ROOT_CA", anyText, defaultRoot, "roots for xDS: file, SYSTEM or PEM"),
  caRootCa: variable("CA_ROOT_CA", anyText, defaultRoot, "roots for the CA: file, SYSTEM or PEM"),
  altXdsHostname: unset("ALT_XDS_HOSTNAME", optionalText, "second accepted name of the xDS server"),
  altCaHostname: unset("ALT_CA_HOSTNAME", optionalText, "second accepted name of the CA"),
  authToken: unset(
    "AUTH_TOKEN",
    optionalText,
    "bearer token: file or the token itself; ./var/run/secrets/tokens/istio-token if it exists",
  ),
  xdsOnDemand: variable("XDS_ON_DEMAND", flag, false, "ask for addresses when they are needed"),
  localXdsPath: unset("LOCAL_XDS_PATH", optionalText, "static state from a file"),
  localXds: unset("LOCAL_XDS", optionalText, "static state as YAML"),
  preferredServiceNamespace: unset(
    "PREFERED_SERVICE_NAMESPACE",
    optionalText,
    "breaks ties between services of one name; the spelling is the reference's",
  ),
  secretTtlMs: variable("SECRET_TTL", durationMs, 86_400_000, "requested life of certificates"),
  fakeCa: variable("FAKE_CA", flag, false, "test builds of the reference only"),
  crlPath: unset("CRL_PATH", optionalText, "certificate revocation lists"),
  poolMaxStreams: variable(
    "POOL_MAX_STREAMS_PER_CONNECTION",
    integer(1, 1_000_000),
    100,
    "tunnels on one HBONE connection before another is opened",
  ),
  poolUnusedReleaseMs: variable(
    "POOL_UNUSED_RELEASE_TIMEOUT",
    durationMs,
    300_000,
    "idle HBONE connections leave the pool after this",
  ),
  streamWindowBytes: variable(
    "HTTP2_STREAM_WINDOW_SIZE",
    windowBytes,
    4_194_304,
    "receive window of one tunnel; bounds what a slow reader can hold",
  ),
  connectionWindowBytes: variable(
    "HTTP2_CONNECTION_WINDOW_SIZE",
    windowBytes,
    16_777_216,
    "receive window of one HBONE connection",
  ),
  maxFrameBytes: variable(
    "HTTP2_FRAME_SIZE",
    integer(16_384, 16_777_215),
    1_048_576,
    "largest HTTP/2 frame that is accepted",
  ),
  keepaliveEnabled: variable("KEEPALIVE_ENABLED", flag, true, "TCP keepalive"),
  keepaliveTimeMs: variable("KEEPALIVE_TIME", durationMs, 180_000, "idle time before probes"),
  keepaliveIntervalMs: variable("KEEPALIVE_INTERVAL", durationMs, 180_000, "time between probes"),
  keepaliveRetries: variable("KEEPALIVE_RETRIES", integer(1, 127), 9, "unanswered probes"),
  userTimeoutEnabled: variable("USER_TIMEOUT_ENABLED", flag, false, "TCP_USER_TIMEOUT"),
  terminationDeadlineMs: unset(
    "CONNECTION_TERMINATION_DEADLINE",
    optional(durationMs),
    "drain limit; derived from the grace period when not set, 5s without that",
  ),
  terminationGracePeriodSeconds: unset(
    "TERMINATION_GRACE_PERIOD_SECONDS",
    optional(integer(1, 1_000_000)),
    "grace period of the pod; the drain ends a little before it",
  ),
  originalSource: unset(
    "ENABLE_ORIG_SRC",
    optional(flag),
    "keep the client address: true demands it, false never does, unset tries",
  ),
  inpodUds: variable(
    "INPOD_UDS",
    anyText,
    "/var/run/ztunnel/ztunnel.sock",
    "socket of the node agent",
  ),
  inpodPortReuse: variable(
    "INPOD_PORT_REUSE",
    flag,
    true,
    "SO_REUSEPORT, so that an old and a new process overlap",
  ),
  packetMark: unset(
    "PACKET_MARK",
    optional(integer(1, 0xffff_ffff)),
    "mark of every socket; 1337 in shared mode, none in dedicated mode",
  ),
  ipv6Enabled: variable("IPV6_ENABLED", flag, true, "listen on [::], resolve AAAA"),
  localhostAppTunnel: variable(
    "LOCALHOST_APP_TUNNEL",
    flag,
    true,
    "reach PROXY-protocol applications over loopback",
  ),
  responseBaggage: variable(
    "ENABLE_RESPONSE_BAGGAGE",
    flag,
    true,
    "describe our workload in answers, read the peer's description in requests",
  ),
  socks5: variable("UNSTABLE_ENABLE_SOCKS5", flag, false, "SOCKS5 listener in every pod"),
  tls12: variable("TLS12_ENABLED", flag, false, "also TLS 1.2"),
  compliancePolicy: unset(
    "COMPLIANCE_POLICY",
    optional(oneOf("pqc")),
    "pqc: only the hybrid key exchange",
  ),
  policyInfoLogging: variable(
    "AUTHZ_POLICY_INFO_LOGGING",
    flag,
    false,
    "policy decisions at level info instead of debug",
  ),
  logFormat: variable("LOG_FORMAT", oneOf("plain", "json"), "plain" as const, "form of log lines"),
  logFilter: variable(
    "RUST_LOG",
    logDirectives,
    "info",
    "log levels, as the reference spells them",
  ),
  workerThreads: variable<WorkerThreads>(
    "ZTUNNEL_WORKER_THREADS",
    parseWorkerThreads,
    { kind: "auto" },
    "threads that move the bytes: a count, a share of the CPUs like 50%, or 0 for one a CPU; automatic: as the reference, but at most half of the CPUs and at most 4",
  ),
  cpuLimit: unset(
    ["ZTUNNEL_RESOURCE_CPU_LIMIT", "ZTUNNEL_CPU_LIMIT"],
    optional(parseCpuQuantity),
    "CPU limit of the container, for the automatic thread count",
  ),
  cpuRequest: unset(
    "ZTUNNEL_RESOURCE_CPU_REQUEST",
    optional(parseCpuQuantity),
    "CPU request of the container, for the automatic thread count",
  ),
  instanceIp: unset("INSTANCE_IP", optional(ip), "own address, part of the xDS node id"),
  podName: unset("POD_NAME", optionalText, "own pod"),
  podNamespace: unset("POD_NAMESPACE", optionalText, "own namespace"),
  serviceAccount: unset("SERVICE_ACCOUNT", optionalText, "own service account"),
  trustDomain: variable("TRUST_DOMAIN", anyText, "cluster.local", "trust domain of our identity"),
  proxyConfig: unset("PROXY_CONFIG", optionalText, "Istio's ProxyConfig as YAML"),
  kubernetesHost: unset(
    "KUBERNETES_SERVICE_HOST",
    optionalText,
    "present inside Kubernetes; chooses the default address of the control plane",
  ),
  connectTimeoutMs: variable(
    "AMBIT_CONNECT_TIMEOUT",
    durationMs,
    10_000,
    "TCP connect; ours, the reference fixes it",
  ),
  decisionRingSize: variable(
    "AMBIT_DECISION_RING",
    integer(0, 100_000),
    512,
    "denials and refusals kept for /debug/decisions; ours",
  ),
  rehearsalMs: variable(
    "AMBIT_REHEARSAL",
    durationMs,
    1_000,
    "before it is ready, the data path carries connections of its own for at most so long, so that the first of a pod meet compiled code; `0s`: not at all; ours",
  ),
} as const;
