/** Every environment variable of the waypoint with its default and its reason (wire/waypoint.md section 1.6). */
import {
  anyText,
  durationMs,
  flag,
  integer,
  oneOf,
  optionalText,
  variable,
} from "../shared/base/env.ts";
import type { IpAddress } from "../shared/net/ip.ts";
import {
  defaultRoot,
  ip,
  logDirectives,
  optional,
  unset,
  windowBytes,
} from "../shared/settings/values.ts";

/** Kubernetes writes a list for a pod of two families; the first is the one to be known by. */
function ips(text: string): readonly IpAddress[] {
  return text.split(",").map((part) => ip(part.trim()));
}

export const variables = {
  podName: unset("POD_NAME", optionalText, "own pod; demanded"),
  podNamespace: unset("POD_NAMESPACE", optionalText, "own namespace; demanded"),
  serviceAccount: unset(
    ["SERVICE_ACCOUNT", "ISTIO_META_SERVICE_ACCOUNT"],
    optionalText,
    "own service account: the identity of the waypoint; demanded",
  ),
  instanceIps: unset(
    ["INSTANCE_IP", "INSTANCE_IPS"],
    optional(ips),
    "own address, part of the xDS node id; several with commas; demanded",
  ),
  nodeName: unset(["NODE_NAME", "ISTIO_META_NODE_NAME"], optionalText, "node this pod runs on"),
  clusterId: variable(
    ["ISTIO_META_CLUSTER_ID", "CLUSTER_ID"],
    anyText,
    "Kubernetes",
    "cluster this pod belongs to",
  ),
  network: variable(
    ["ISTIO_META_NETWORK", "NETWORK"],
    anyText,
    "",
    "network this pod belongs to; workloads are looked up in it",
  ),
  clusterDomain: variable(
    "CLUSTER_DOMAIN",
    anyText,
    "cluster.local",
    "suffix of service names, for the node id; the argument --domain is stronger",
  ),
  trustDomain: variable("TRUST_DOMAIN", anyText, "cluster.local", "trust domain of our identity"),
  xdsAddress: unset(
    "XDS_ADDRESS",
    anyText,
    "control plane; discoveryAddress of PROXY_CONFIG when not set, else istiod's service in Kubernetes and https://localhost:15012 elsewhere",
  ),
  caAddress: unset(
    ["CA_ADDRESS", "CA_ADDR"],
    anyText,
    "certificate authority; like XDS_ADDRESS when not set",
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
  xdsOnDemand: variable(
    "XDS_ON_DEMAND",
    flag,
    false,
    "ask for the workloads that turn up as peers instead of for all of the mesh; the reference's waypoints ask for all",
  ),
  secretTtlMs: variable("SECRET_TTL", durationMs, 86_400_000, "requested life of the certificate"),
  compliancePolicy: unset(
    "COMPLIANCE_POLICY",
    optional(oneOf("pqc")),
    "pqc: only the hybrid key exchange",
  ),
  tls12: variable("TLS12_ENABLED", flag, false, "also TLS 1.2 on HBONE connections"),
  crlPath: unset("CRL_PATH", optionalText, "certificate revocation lists"),
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
  ipv6Enabled: variable("IPV6_ENABLED", flag, true, "listen on [::] too"),
  logFormat: variable(
    "LOG_FORMAT",
    oneOf("plain", "json"),
    "plain" as const,
    "form of log lines; the argument --log_as_json means json",
  ),
  logFilter: unset(
    "RUST_LOG",
    optional(logDirectives),
    "log levels as the ztunnel's; else what --log_output_level says, else info",
  ),
  terminationDrainMs: unset(
    "AMBIT_TERMINATION_DRAIN",
    optional(durationMs),
    "at SIGTERM new connections are still taken for this long, until clients have heard; terminationDrainDuration of PROXY_CONFIG when not set, 5s without that",
  ),
  terminationDeadlineMs: unset(
    "CONNECTION_TERMINATION_DEADLINE",
    optional(durationMs),
    "at SIGTERM open connections get this long in all; derived from the grace period when not set",
  ),
  terminationGracePeriodSeconds: variable(
    "TERMINATION_GRACE_PERIOD_SECONDS",
    integer(1, 1_000_000),
    30,
    "grace period of the pod; the drain ends a little before it",
  ),
  warmingDeadlineMs: variable(
    "AMBIT_WARMING_DEADLINE",
    durationMs,
    15_000,
    "listeners wait this long for the endpoints of clusters they point at, and removed clusters as long for the listeners",
  ),
  proxyConfig: unset("PROXY_CONFIG", optionalText, "Istio's ProxyConfig as JSON or YAML"),
  kubernetesHost: unset(
    "KUBERNETES_SERVICE_HOST",
    optionalText,
    "present inside Kubernetes; chooses the default address of the control plane",
  ),
  decisionRingSize: variable(
    "AMBIT_DECISION_RING",
    integer(0, 100_000),
    256,
    "refusals kept for /debug/decisions, and a quarter as many of what went well",
  ),
} as const;
