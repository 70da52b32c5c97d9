/** Where a cluster's endpoints come from. */
import {
  type Cluster,
  Cluster_EdsClusterConfigSchema,
  Cluster_OriginalDstLbConfigSchema,
  type Cluster_RefreshRate,
  Cluster_DiscoveryType as DiscoveryType,
  Cluster_DnsLookupFamily as LookupFamily,
} from "../../shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterConfigSchema } from "../../shared/wire/gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.js";
import { DnsCacheConfigSchema } from "../../shared/wire/gen/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache_pb.js";
import type { Discovery, DnsFamily, DnsOptions } from "../model/cluster.ts";
import type { Assignment } from "../model/endpoints.ts";
import { milliseconds, positiveMs, typeOf, unpackAs } from "./cluster-values.ts";
import { compileAssignment } from "./endpoints.ts";
import { at, CompileError, checkFields, type Notes, type Path } from "./notes.ts";

const defaultRefreshMs = 5000;
const dynamicRefreshMs = 60_000;
const defaultCleanupMs = 5000;

export function compileDiscovery(message: Cluster, path: Path, notes: Notes): Discovery {
  const { clusterDiscoveryType: type } = message;
  if (type.case === "clusterType") return compileDynamic(message, path, notes);
  switch (type.value ?? DiscoveryType.STATIC) {
    case DiscoveryType.EDS:
      return compileEds(message, path, notes);
    case DiscoveryType.STATIC:
      return compileStatic(message, path, notes);
    case DiscoveryType.STRICT_DNS:
      return compileDns(message, "strict", path, notes);
    case DiscoveryType.LOGICAL_DNS:
      return compileDns(message, "logical", path, notes);
    case DiscoveryType.ORIGINAL_DST:
      return compileOriginal(message, path, notes);
    default:
      throw new CompileError(at(path, "type"), `${type.value} is not supported`);
  }
}

function compileEds(message: Cluster, path: Path, notes: Notes): Discovery {
  const config = message.edsClusterConfig;
  const configPath = at(path, "eds_cluster_config");
  if (config === undefined) throw new CompileError(configPath, "is missing");
  checkFields(config, Cluster_EdsClusterConfigSchema, configPath, notes, {
    used: ["service_name", "eds_config"],
  });
  const source = config.edsConfig?.configSourceSpecifier.case;
  if (source !== "ads")
    throw new CompileError(at(configPath, "eds_config"), "only ads is supported");
  return { kind: "eds", serviceName: config.serviceName || message.name };
}

/** `encap` is the one static cluster whose endpoint says nothing: pods that are addressed themselves, in tunnels. */
function compileStatic(message: Cluster, path: Path, notes: Notes): Discovery {
  const assignment = assignmentOf(message, path, notes);
  const [first] = assignment.localities.flatMap(({ endpoints }) => endpoints);
  if (first?.target.kind === "internal" && first.target.listener === "connect_originate")
    return {
      kind: "original-destination",
      portOverride: undefined,
      tunnelled: true,
      cleanupMs: defaultCleanupMs,
    };
  return { kind: "static", assignment };
}

function compileDns(
  message: Cluster,
  mode: "strict" | "logical",
  path: Path,
  notes: Notes,
): Discovery {
  const assignment = assignmentOf(message, path, notes);
  const endpoints = assignment.localities.flatMap((locality) => locality.endpoints);
  if (mode === "logical" && endpoints.length !== 1)
    throw new CompileError(at(path, "load_assignment"), "must have one endpoint for LOGICAL_DNS");
  return { kind: "dns", mode, assignment, dns: dnsOf(message, path) };
}

function assignmentOf(message: Cluster, path: Path, notes: Notes): Assignment {
  const { loadAssignment } = message;
  // A cluster without endpoints is allowed: BlackHoleCluster.
  if (loadAssignment === undefined)
    return {
      cluster: message.name,
      localities: [],
      overprovisioningFactor: 140,
      weightedPriorityHealth: false,
    };
  const named =
    loadAssignment.clusterName === ""
      ? { ...loadAssignment, clusterName: message.name }
      : loadAssignment;
  return compileAssignment(named, notes, at(path, "load_assignment"));
}

interface DnsFields {
  readonly dnsRefreshRate?: Cluster["dnsRefreshRate"];
  readonly dnsFailureRefreshRate?: Cluster_RefreshRate | undefined;
  readonly respectDnsTtl?: boolean;
  readonly dnsLookupFamily: LookupFamily;
}

function dnsOf(message: DnsFields, path: Path, refresh = defaultRefreshMs): DnsOptions {
  const refreshMs = positiveMs(message.dnsRefreshRate, refresh, at(path, "dns_refresh_rate"));
  const failurePath = at(path, "dns_failure_refresh_rate");
  const failure = message.dnsFailureRefreshRate;
  const failureRefreshMs = positiveMs(failure?.baseInterval, refreshMs, failurePath);
  return {
    family: familyOf(message.dnsLookupFamily),
    refreshMs,
    failureRefreshMs,
    failureRefreshMaxMs:
      failure === undefined
        ? refreshMs
        : positiveMs(failure.maxInterval, failureRefreshMs * 10, failurePath),
    respectTtl: message.respectDnsTtl ?? false,
    // dns_jitter is newer than our schema; istiod's is 100 ms.
    jitterMs: 100,
  };
}

function familyOf(family: LookupFamily): DnsFamily {
  switch (family) {
    case LookupFamily.V4_ONLY:
      return "v4-only";
    case LookupFamily.V6_ONLY:
      return "v6-only";
    case LookupFamily.V4_PREFERRED:
      return "v4-preferred";
    case LookupFamily.ALL:
      return "all";
    default:
      return "auto";
  }
}

function compileOriginal(message: Cluster, path: Path, notes: Notes): Discovery {
  const config =
    message.lbConfig.case === "originalDstLbConfig" ? message.lbConfig.value : undefined;
  // `metadata_key` is what connect_originate asks for: endpoints have it in their target already.
  if (config !== undefined)
    checkFields(
      config,
      Cluster_OriginalDstLbConfigSchema,
      at(path, "original_dst_lb_config"),
      notes,
      {
        used: ["upstream_port_override", "metadata_key"],
      },
    );
  return {
    kind: "original-destination",
    portOverride: config?.upstreamPortOverride,
    tunnelled: false,
    cleanupMs: milliseconds(message.cleanupInterval, defaultCleanupMs),
  };
}

function compileDynamic(message: Cluster, path: Path, notes: Notes): Discovery {
  const typePath = at(at(path, "cluster_type"), "typed_config");
  if (message.clusterDiscoveryType.case !== "clusterType")
    throw new CompileError(typePath, "is missing");
  const { typedConfig } = message.clusterDiscoveryType.value;
  if (typedConfig === undefined) throw new CompileError(typePath, "is missing");
  if (typeOf(typedConfig) !== ClusterConfigSchema.typeName)
    throw new CompileError(typePath, `${typeOf(typedConfig)} is not supported`);
  const config = unpackAs(typedConfig, ClusterConfigSchema, typePath);
  checkFields(config, ClusterConfigSchema, typePath, notes, {
    used: ["dns_cache_config"],
    decorative: [
      "sub_clusters_config",
      "allow_insecure_cluster_options",
      "allow_coalesced_connections",
    ],
  });
  const { clusterImplementationSpecifier: specifier } = config;
  if (specifier.case !== "dnsCacheConfig")
    return { kind: "dynamic", dns: dnsOf(message, path, dynamicRefreshMs) };
  const cachePath = at(typePath, "dns_cache_config");
  checkFields(specifier.value, DnsCacheConfigSchema, cachePath, notes, {
    used: ["name", "dns_lookup_family", "dns_refresh_rate", "dns_failure_refresh_rate"],
    decorative: [
      "dns_min_refresh_rate",
      "host_ttl",
      "max_hosts",
      "dns_cache_circuit_breaker",
      "typed_dns_resolver_config",
      "dns_query_timeout",
      "preresolve_hostnames",
    ],
  });
  return { kind: "dynamic", dns: dnsOf(specifier.value, cachePath, dynamicRefreshMs) };
}
