/** A filter chain that ends in a TCP proxy (wire/waypoint.md section 3.5). */
import {
  type TcpProxy,
  TcpProxy_WeightedCluster_ClusterWeightSchema,
  TcpProxySchema,
} from "../../shared/wire/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { HashPolicy as HashPolicyMessage } from "../../shared/wire/gen/envoy/type/v3/hash_policy_pb.js";
import type { NetworkFilter } from "../filters/filter.ts";
import type { TcpChain } from "../model/chain.ts";
import type { HashPolicy } from "../model/route.ts";
import type { StatsConfig } from "../telemetry/config.ts";
import { milliseconds } from "./cluster-values.ts";
import { readConfig, type TypedConfig } from "./filters/typed-config.ts";
import type { CompileHooks } from "./hooks.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";

const proxyFields = {
  used: [
    "cluster",
    "weighted_clusters",
    "idle_timeout",
    "access_log",
    "hash_policy",
    "max_downstream_connection_duration",
  ],
  decorative: [
    "stat_prefix",
    "access_log_options",
    "access_log_flush_interval",
    "flush_access_log_on_connected",
    "max_connect_attempts",
  ],
};

/** Envoy's default. */
const IDLE_MS = 3_600_000;

export interface BeforeProxy {
  readonly filters: readonly NetworkFilter[];
  readonly stats: StatsConfig | undefined;
}

export function compileTcpChain(
  name: string,
  config: TypedConfig,
  before: BeforeProxy,
  path: Path,
  notes: Notes,
  hooks: CompileHooks,
): TcpChain {
  const proxy = readConfig(config, TcpProxySchema, path);
  checkFields(proxy, TcpProxySchema, path, notes, proxyFields);
  return {
    kind: "tcp",
    name,
    filters: before.filters,
    clusters: clustersOf(proxy, path, notes),
    hashPolicy: hashPolicies(proxy.hashPolicy, path),
    idleTimeoutMs: milliseconds(proxy.idleTimeout, IDLE_MS),
    maxConnectionDurationMs: milliseconds(proxy.maxDownstreamConnectionDuration, 0),
    accessLogs: hooks.accessLogs(proxy.accessLog, at(path, "access_log"), notes),
    stats: before.stats,
  };
}

const weightFields = { used: ["name", "weight"] };

function clustersOf(
  { clusterSpecifier: specifier }: TcpProxy,
  path: Path,
  notes: Notes,
): TcpChain["clusters"] {
  switch (specifier.case) {
    case "cluster":
      return { total: 1, clusters: [{ cluster: specifier.value, weight: 1 }] };
    case "weightedClusters": {
      const inside = at(path, "weighted_clusters");
      const clusters = specifier.value.clusters.map((one, index) => {
        const where = item(inside, "clusters", index);
        checkFields(one, TcpProxy_WeightedCluster_ClusterWeightSchema, where, notes, weightFields);
        if (one.weight === 0) throw new CompileError(at(where, "weight"), "is zero");
        return { cluster: one.name, weight: one.weight };
      });
      if (clusters.length === 0) throw new CompileError(at(inside, "clusters"), "is empty");
      return { total: clusters.reduce((sum, { weight }) => sum + weight, 0), clusters };
    }
    default:
      throw new CompileError(path, "names no cluster");
  }
}

function hashPolicies(policies: readonly HashPolicyMessage[], path: Path): readonly HashPolicy[] {
  return policies.map(({ policySpecifier }, index) => {
    if (policySpecifier.case !== "sourceIp")
      throw new CompileError(item(path, "hash_policy", index), "only source_ip is supported");
    return { kind: "source-ip", terminal: false };
  });
}
