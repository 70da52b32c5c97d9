/** Cluster → plain data (wire/waypoint.md sections 4.1 to 4.3). */

import {
  type Cluster,
  Cluster_CommonLbConfigSchema,
  ClusterSchema,
  UpstreamConnectionOptionsSchema,
} from "../../shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import { TcpKeepaliveSchema } from "../../shared/wire/gen/envoy/config/core/v3/address_pb.js";
import type { Metadata } from "../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import type { ClusterConfig, ClusterService, TcpKeepAlive } from "../model/cluster.ts";
import { compileBalance } from "./cluster-balance.ts";
import { compileBreakers } from "./cluster-breakers.ts";
import { compileDiscovery } from "./cluster-discovery.ts";
import { compileUpstreamHttp } from "./cluster-http.ts";
import { compileOutlier } from "./cluster-outlier.ts";
import { isObject, metadataAt, metadataText, percent, positiveMs } from "./cluster-values.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";
import { compileTransport, compileTransportMatch } from "./transport-socket.ts";

/** Envoy's defaults. */
const defaultConnectTimeoutMs = 5000;
const defaultPanicPercent = 50;

const clusterFields = {
  used: [
    "name",
    "alt_stat_name",
    "type",
    "cluster_type",
    "eds_cluster_config",
    "connect_timeout",
    "lb_policy",
    "load_assignment",
    "circuit_breakers",
    "typed_extension_protocol_options",
    "dns_refresh_rate",
    "dns_failure_refresh_rate",
    "respect_dns_ttl",
    "dns_lookup_family",
    "outlier_detection",
    "cleanup_interval",
    "ring_hash_lb_config",
    "maglev_lb_config",
    "original_dst_lb_config",
    "least_request_lb_config",
    "round_robin_lb_config",
    "common_lb_config",
    "transport_socket",
    "transport_socket_matches",
    "metadata",
    "upstream_connection_options",
  ],
  decorative: [
    // The peers' metadata by baggage or ALPN; the waypoint knows its peers from the workload index.
    "filters",
    "per_connection_buffer_limit_bytes",
    "typed_dns_resolver_config",
    "wait_for_warm_on_init",
    "track_cluster_stats",
    "track_timeout_budgets",
    "preconnect_policy",
    "lrs_report_endpoint_metrics",
    "close_connections_on_host_health_failure",
    "ignore_health_on_host_removal",
  ],
  // dns_jitter
  unknownDecorative: [58],
};

export function compileCluster(message: Cluster, notes: Notes, path: Path = ""): ClusterConfig {
  checkFields(message, ClusterSchema, path, notes, clusterFields);
  const { name, metadata } = message;
  if (name === "") throw new CompileError(at(path, "name"), "is missing");
  const common = compileCommon(message, at(path, "common_lb_config"), notes);
  return {
    name,
    statName: message.altStatName === "" ? name : message.altStatName,
    discovery: compileDiscovery(message, path, notes),
    connectTimeoutMs: positiveMs(
      message.connectTimeout,
      defaultConnectTimeoutMs,
      at(path, "connect_timeout"),
    ),
    balance: compileBalance(message, path, notes),
    ...common,
    breakers: compileBreakers(message.circuitBreakers, at(path, "circuit_breakers"), notes),
    outlier: compileOutlier(message.outlierDetection, at(path, "outlier_detection"), notes),
    http: compileUpstreamHttp(message.typedExtensionProtocolOptions, path, notes),
    transport: compileTransport(message.transportSocket, at(path, "transport_socket"), notes),
    transportMatches: message.transportSocketMatches.map((match, index) =>
      compileTransportMatch(match, item(path, "transport_socket_matches", index), notes),
    ),
    keepAlive: compileKeepAlive(message, at(path, "upstream_connection_options"), notes),
    service: serviceOf(metadata),
    origin: metadataText(metadata, "istio", "config"),
    subset: metadataText(metadata, "istio", "subset"),
  };
}

type Common = Pick<ClusterConfig, "panicThresholdPercent" | "localityWeighted">;

function compileCommon({ commonLbConfig: message }: Cluster, path: Path, notes: Notes): Common {
  if (message === undefined)
    return { panicThresholdPercent: defaultPanicPercent, localityWeighted: false };
  checkFields(message, Cluster_CommonLbConfigSchema, path, notes, {
    used: [
      "healthy_panic_threshold",
      "locality_weighted_lb_config",
      "consistent_hashing_lb_config",
      "zone_aware_lb_config",
    ],
    decorative: [
      "update_merge_window",
      "close_connections_on_host_set_change",
      "ignore_new_hosts_until_first_hc",
    ],
  });
  // Zone awareness compares with the proxy's own cluster, which a waypoint does not have: Envoy then leaves it out.
  if (message.localityConfigSpecifier.case === "zoneAwareLbConfig")
    notes.decorates(at(path, "zone_aware_lb_config"), "has no effect here");
  return {
    panicThresholdPercent: percent(
      message.healthyPanicThreshold?.value,
      defaultPanicPercent,
      at(path, "healthy_panic_threshold"),
    ),
    localityWeighted: message.localityConfigSpecifier.case === "localityWeightedLbConfig",
  };
}

function compileKeepAlive(message: Cluster, path: Path, notes: Notes): TcpKeepAlive | undefined {
  const options = message.upstreamConnectionOptions;
  if (options === undefined) return undefined;
  checkFields(options, UpstreamConnectionOptionsSchema, path, notes, {
    used: ["tcp_keepalive"],
    decorative: ["set_local_interface_name_on_upstream_connections", "happy_eyeballs_config"],
  });
  const keepAlive = options.tcpKeepalive;
  if (keepAlive === undefined) return undefined;
  checkFields(keepAlive, TcpKeepaliveSchema, at(path, "tcp_keepalive"), notes, {
    used: ["keepalive_probes", "keepalive_time", "keepalive_interval"],
  });
  return {
    idleSeconds: keepAlive.keepaliveTime,
    intervalSeconds: keepAlive.keepaliveInterval,
    probes: keepAlive.keepaliveProbes,
  };
}

/** The first of `services`: the one that destination_service labels name. */
function serviceOf(metadata: Metadata | undefined): ClusterService | undefined {
  const services = metadataAt(metadata, "istio", "services");
  const first = Array.isArray(services) ? services[0] : undefined;
  if (!isObject(first)) return undefined;
  const { host, name, namespace } = first;
  return {
    host: typeof host === "string" ? host : "",
    name: typeof name === "string" ? name : "",
    namespace: typeof namespace === "string" ? namespace : "",
  };
}
