/** Clusters for the services that the waypoint stands in front of: one for each port, protocol and subset. */
import { create } from "@bufbuild/protobuf";
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
} from "../../../shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ApiVersion } from "../../../shared/wire/gen/envoy/config/core/v3/config_source_pb.js";
import { ClusterConfigSchema } from "../../../shared/wire/gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.js";
import {
  type MergedRule,
  type PortPolicy,
  policyForPort,
  policyForSubset,
} from "./destination-rules.ts";
import { dnsCacheName, dnsFields, dnsJitter, lookupFamily } from "./dns.ts";
import { dnsEndpoints } from "./load-assignment.ts";
import { localitySetting, weighsLocalities } from "./locality.ts";
import { configPath, serviceMetadata } from "./metadata.ts";
import { clusterName, statName } from "./names.ts";
import { isHttp, isSniffed, isTcp } from "./protocols.ts";
import type { L7Port, L7Service, Resolution } from "./services.ts";
import { type ClusterInit, httpOptions } from "./static-clusters.ts";
import { automaticNames, upstreamTls } from "./tls.ts";
import {
  applyPool,
  balancing,
  type HttpOptions,
  outlierDetection,
  panicThreshold,
} from "./traffic-policy.ts";
import { proxyProtocolSocket, rawBuffer, tlsSocket, tunnelSocket } from "./transport.ts";
import { durationOf, filterMetadata, pack } from "./wire.ts";
import { inboundRule, type World } from "./world.ts";

/** Which clusters a port has: both while it is not known what it speaks. */
export function protocolsOf(port: L7Port): readonly ("tcp" | "http")[] {
  if (isSniffed(port.protocol)) return ["tcp", "http"];
  if (isTcp(port.protocol)) return ["tcp"];
  return isHttp(port.protocol) ? ["http"] : [];
}

export function serviceClusters(world: World, service: L7Service): readonly Cluster[] {
  const rule = inboundRule(world, service);
  const clusters: Cluster[] = [];
  for (const port of service.ports) {
    if (service.resolution === "DynamicDns" && port.protocol !== "HTTP") continue;
    const general = policyForPort(rule?.spec.trafficPolicy, port.number).policy;
    const subsets = rule?.spec.subsets ?? [];
    for (const protocol of protocolsOf(port)) {
      const make = (subset: string, policy: PortPolicy | undefined): void => {
        const request = { service, port, protocol, subset, policy, rule };
        const cluster = serviceCluster(world, request);
        if (cluster !== undefined) clusters.push(cluster);
      };
      make("", general);
      for (const { name } of subsets)
        make(name, rule && policyForSubset(rule.spec, name, port.number));
    }
  }
  return clusters;
}

export interface Discovered {
  readonly service: L7Service;
  readonly port: L7Port;
  readonly subset: string;
  readonly policy: PortPolicy | undefined;
}

interface ClusterRequest extends Discovered {
  readonly protocol: "tcp" | "http";
  readonly rule: MergedRule | undefined;
}

/** Undefined when it would have names to resolve and has none. */
function serviceCluster(world: World, request: ClusterRequest): Cluster | undefined {
  const { mesh } = world;
  const { service, port, policy } = request;
  const subset = request.subset === "" ? request.protocol : `${request.protocol}/${request.subset}`;
  const name = clusterName("inbound-vip", port.number, subset, service.hostname);
  const pool = applyPool(mesh, port, policy);
  const discovered = discovery(world, request, name, false);
  if (discovered === undefined) return undefined;
  const http = withAutomaticNames(pool.http, policy);
  const cluster = create(ClusterSchema, {
    name,
    altStatName: statName(name),
    ...pool.fields,
    ...discovered,
    ...(service.resolution === "DynamicDns" ? {} : { commonLbConfig: commonLb(world, request) }),
    ...(policy?.outlierDetection === undefined
      ? {}
      : { outlierDetection: outlierDetection(policy.outlierDetection) }),
    metadata: filterMetadata({
      istio: {
        services: [serviceMetadata(service)],
        subset,
        ...(policy === undefined || request.rule === undefined
          ? {}
          : { config: ruleMetadata(request.rule) }),
      },
    }),
    transportSocket: tunnelSocket(innerSocket(world, policy, pool.http)),
    ...(http === undefined ? {} : { typedExtensionProtocolOptions: httpOptions(http) }),
  });
  if (cluster.respectDnsTtl) cluster.$unknown = [dnsJitter()];
  return cluster;
}

export function ruleMetadata({ object }: MergedRule): string {
  return configPath("destination-rule", object.metadata.namespace, object.metadata.name);
}

export function commonLb(
  { mesh }: World,
  { service, policy }: Pick<ClusterRequest, "service" | "policy">,
): NonNullable<ClusterInit["commonLbConfig"]> {
  const setting = localitySetting(mesh, policy?.loadBalancer, service);
  return {
    healthyPanicThreshold: panicThreshold(service, policy?.outlierDetection),
    ...(weighsLocalities(setting, policy?.outlierDetection !== undefined)
      ? { localityConfigSpecifier: { case: "localityWeightedLbConfig", value: {} } as const }
      : {}),
  };
}

const TYPES: Readonly<Record<Exclude<Resolution, "DynamicDns">, Cluster_DiscoveryType>> = {
  Endpoints: Cluster_DiscoveryType.EDS,
  Dns: Cluster_DiscoveryType.STRICT_DNS,
  DnsRoundRobin: Cluster_DiscoveryType.LOGICAL_DNS,
  Passthrough: Cluster_DiscoveryType.ORIGINAL_DST,
};

function discoveryType(service: L7Service): Cluster_DiscoveryType | undefined {
  if (service.resolution === "DynamicDns") return undefined;
  if (service.resolution === "Dns" && service.raceFirstConnect)
    return Cluster_DiscoveryType.LOGICAL_DNS;
  return TYPES[service.resolution];
}

function edsConfig(name: string): Partial<ClusterInit> {
  return {
    edsClusterConfig: {
      serviceName: name,
      edsConfig: {
        configSourceSpecifier: { case: "ads", value: {} },
        initialFetchTimeout: durationOf(0),
        resourceApiVersion: ApiVersion.V3,
      },
    },
  };
}

/** Undefined when names are to be resolved and there are none. */
export function discovery(
  world: World,
  { service, port, subset, policy }: Discovered,
  name: string,
  outbound: boolean,
): Partial<ClusterInit> | undefined {
  const type = discoveryType(service);
  if (type === undefined) return dynamicForwardProxy(world, service, policy);
  const lb = balancing(policy?.loadBalancer);
  if (type === Cluster_DiscoveryType.ORIGINAL_DST || lb.passthrough)
    return originalDestination(port);
  const typed = { ...lb.fields, clusterDiscoveryType: { case: "type", value: type } as const };
  if (type === Cluster_DiscoveryType.EDS) return { ...typed, ...edsConfig(name) };
  const request = { clusterName: name, service, port: port.number, subset, outbound };
  const endpoints = dnsEndpoints(world, request);
  if (endpoints.length === 0) return undefined;
  return {
    ...typed,
    ...dnsFields(world.mesh, world.node, service),
    loadAssignment: { clusterName: name, endpoints },
  };
}

function originalDestination(port: L7Port): Partial<ClusterInit> {
  return {
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.ORIGINAL_DST },
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
    ...(port.passthroughPort === undefined
      ? {}
      : {
          lbConfig: {
            case: "originalDstLbConfig",
            value: { upstreamPortOverride: port.passthroughPort },
          },
        }),
  };
}

/** Resolves the host of each request, for names that only a wildcard describes. */
function dynamicForwardProxy(
  { node }: World,
  service: L7Service,
  policy: PortPolicy | undefined,
): Partial<ClusterInit> {
  const names = policy?.tls === undefined ? undefined : automaticNames(policy.tls);
  const encrypts = policy?.tls?.mode === "SIMPLE" || policy?.tls?.mode === "MUTUAL";
  const insecure = encrypts && !(names?.sni === true && policy?.tls?.insecureSkipVerify !== true);
  return {
    clusterDiscoveryType: {
      case: "clusterType",
      value: {
        name: "envoy.clusters.dynamic_forward_proxy",
        typedConfig: pack(ClusterConfigSchema, {
          clusterImplementationSpecifier: {
            case: "dnsCacheConfig",
            value: { name: dnsCacheName(service.hostname), dnsLookupFamily: lookupFamily(node) },
          },
          allowInsecureClusterOptions: insecure,
        }),
      },
    },
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
  };
}

export function isHttp2Upstream(http: HttpOptions | undefined): boolean {
  const { upstreamProtocolOptions } = http ?? {};
  return (
    upstreamProtocolOptions?.case === "explicitHttpConfig" &&
    upstreamProtocolOptions.value.protocolConfig?.case === "http2ProtocolOptions"
  );
}

/** The names of the request stand in for those that a rule with TLS leaves out. */
export function withAutomaticNames(
  http: HttpOptions | undefined,
  policy: PortPolicy | undefined,
): HttpOptions | undefined {
  const { tls } = policy ?? {};
  if (tls === undefined || (tls.mode !== "SIMPLE" && tls.mode !== "MUTUAL")) return http;
  const { sni, sanValidation } = automaticNames(tls);
  if (!sni && !sanValidation) return http;
  return {
    ...http,
    upstreamHttpProtocolOptions: { autoSni: sni, autoSanValidation: sanValidation },
  };
}

function innerSocket(
  { mesh }: World,
  policy: PortPolicy | undefined,
  http: HttpOptions | undefined,
) {
  const tls = upstreamTls(policy?.tls, mesh, { http2: isHttp2Upstream(http) });
  const inner = tls === undefined ? rawBuffer : tlsSocket("envoy.transport_sockets.tls", tls);
  return policy?.proxyProtocol === undefined
    ? inner
    : proxyProtocolSocket(policy.proxyProtocol.version, inner);
}
