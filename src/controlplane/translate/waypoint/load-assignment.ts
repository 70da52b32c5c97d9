/** The endpoints of a cluster, by locality, as the proxy shall prefer them. */
import type { Locality } from "../../../shared/model/workload.ts";
import { HealthStatus } from "../../../shared/wire/gen/envoy/config/core/v3/health_check_pb.js";
import type { ClusterLoadAssignmentSchema } from "../../../shared/wire/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { GATEWAY_MANAGED } from "../names.ts";
import { type PortPolicy, policyForSubset } from "./destination-rules.ts";
import {
  type EndpointGroup,
  type LbEndpointInit,
  type LocalityEndpoints,
  type PlacedEndpoint,
  plainGroup,
} from "./endpoint-groups.ts";
import type { Instance } from "./instances.ts";
import { arrange, carriesLabels, localitySetting } from "./locality.ts";
import { CONNECT_ORIGINATE, ORIGINAL_DST_METADATA } from "./names.ts";
import type { WaypointNode } from "./node.ts";
import { type L7Service, portNamesOf } from "./services.ts";
import { forcesUnready } from "./traffic-policy.ts";
import { byText, filterMetadata, type Init } from "./wire.ts";
import { outboundRule, type World } from "./world.ts";

export type LoadAssignment = Init<typeof ClusterLoadAssignmentSchema>;

export interface AssignmentRequest {
  readonly clusterName: string;
  readonly service: L7Service;
  readonly port: number;
  /** "" for all endpoints. */
  readonly subset: string;
  /** Endpoints of clusters for calls say by metadata which transport they want. */
  readonly outbound: boolean;
}

export function loadAssignment(world: World, request: AssignmentRequest): LoadAssignment {
  const { clusterName, service } = request;
  const rule = outboundRule(world, service);
  const policy = rule && policyForSubset(rule.spec, request.subset, request.port);
  const groups = endpointGroups(world, request, policy);
  if (groups.length === 0) return { clusterName };
  const setting = localitySetting(world.mesh, policy?.loadBalancer, service);
  const failover = policy?.outlierDetection !== undefined;
  return { clusterName, endpoints: [...arrange(groups, setting, failover, world.node)] };
}

/** Names in place of addresses, for clusters whose endpoints are resolved by the proxy. */
export function dnsEndpoints(world: World, request: AssignmentRequest): LocalityEndpoints[] {
  const rule = outboundRule(world, request.service);
  const policy = rule && policyForSubset(rule.spec, request.subset, request.port);
  const groups = endpointGroups(world, request, policy);
  // A cluster that takes the first answer of the resolver can have one name only.
  if (request.service.resolution === "DnsRoundRobin")
    return groups
      .slice(0, 1)
      .map(({ locality, members }) => plainGroup({ locality, members: members.slice(0, 1) }));
  const setting = localitySetting(world.mesh, policy?.loadBalancer, request.service);
  const ejects = policy?.outlierDetection !== undefined;
  return [...arrange(groups, setting, ejects, world.node)];
}

function endpointGroups(
  world: World,
  request: AssignmentRequest,
  policy: PortPolicy | undefined,
): readonly EndpointGroup[] {
  const { service, port, subset } = request;
  const labels = subsetLabels(world, service, subset);
  const groups = new Map<string, { locality: Locality; members: PlacedEndpoint[] }>();
  for (const instance of world.instances.get(service.key) ?? []) {
    if (!carriesLabels(instance, labels)) continue;
    if (!isServing(instance, service, policy, world.node)) continue;
    const target = targetPort(instance, service, port);
    if (target === undefined) continue;
    const endpoint = endpointOf(instance, target, request, world.node);
    if (endpoint === undefined) continue;
    const { locality } = instance.workload;
    const key = localityText(locality);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { locality, members: [{ instance, endpoint }] });
    else group.members.push({ instance, endpoint });
  }
  return [...groups].sort(([a], [b]) => byText(a, b)).map(([, group]) => group);
}

function localityText({ region, zone, subzone }: Locality): string {
  return [region, zone, subzone].join("/").replace(/\/+$/, "");
}

/** A subset without labels, or one that no rule knows, is everything. */
function subsetLabels(world: World, service: L7Service, subset: string) {
  if (subset === "") return {};
  const rule = outboundRule(world, service);
  return rule?.spec.subsets.find(({ name }) => name === subset)?.labels ?? {};
}

/**
 * Those on their way out take nothing new. Those that are not ready are told of, marked as such, unless ejection is set
 * to ignore health below some share: then unready ones could be chosen.
 */
function isServing(
  { workload, terminating }: Instance,
  service: L7Service,
  policy: PortPolicy | undefined,
  node: WaypointNode,
): boolean {
  if (terminating) return false;
  if (service.nodeLocal && workload.node !== node.nodeName) return false;
  if (workload.status === "Healthy" || service.publishUnready) return true;
  return forcesUnready(service) || (policy?.outlierDetection?.minHealthPercent ?? 0) <= 0;
}

function targetPort({ workload }: Instance, service: L7Service, port: number): number | undefined {
  const pair = workload.services.get(service.key)?.find(([servicePort]) => servicePort === port);
  if (pair !== undefined) return pair[1] === 0 ? undefined : pair[1];
  return portNamesOf(service, port) === undefined ? port : undefined;
}

export function isResolvedByProxy({ resolution }: L7Service): boolean {
  return resolution === "Dns" || resolution === "DnsRoundRobin";
}

function endpointOf(
  instance: Instance,
  port: number,
  request: AssignmentRequest,
  node: WaypointNode,
): LbEndpointInit | undefined {
  const { workload } = instance;
  const [address] = workload.addresses;
  const isDns = isResolvedByProxy(request.service);
  // A name among the endpoints of a service that is not resolved by names has no place.
  if (address === undefined && (!isDns || workload.hostname === "")) return undefined;
  const byName = address === undefined;
  const tunnelled = !byName && !node.disableHboneSend && supportsTunnel(instance);
  const target = joinHostPort(address ?? workload.hostname, port);
  return {
    hostIdentifier: {
      case: "endpoint",
      value: tunnelled
        ? {
            address: {
              address: {
                case: "envoyInternalAddress",
                value: {
                  addressNameSpecifier: {
                    case: "serverListenerName",
                    value: CONNECT_ORIGINATE,
                  },
                  endpointId: target,
                },
              },
            },
          }
        : {
            address: socketAddress(address ?? workload.hostname, port),
            additionalAddresses: workload.addresses
              .slice(1)
              .map((further) => ({ address: socketAddress(further, port) })),
          },
    },
    metadata: endpointMetadata(instance, tunnelled ? target : undefined, request),
    healthStatus: healthOf(instance, request.service),
    loadBalancingWeight: workload.capacity,
  };
}

function healthOf({ workload, isPod }: Instance, service: L7Service): HealthStatus {
  if (!isPod) return HealthStatus.UNKNOWN;
  return workload.status === "Healthy" || service.publishUnready
    ? HealthStatus.HEALTHY
    : HealthStatus.UNHEALTHY;
}

export function socketAddress(address: string, port: number) {
  return {
    address: {
      case: "socketAddress",
      value: { address, portSpecifier: { case: "portValue", value: port } },
    },
  } as const;
}

function joinHostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Waypoints and network gateways take tunnels by themselves; others when their node or they say so. */
export function supportsTunnel({ workload, labels }: Instance): boolean {
  return (
    labels[GATEWAY_MANAGED] === "istio.io-mesh-controller" ||
    workload.nativeTunnel ||
    workload.protocol === "HBONE"
  );
}

const TLS_MODE = "security.istio.io/tlsMode";

function endpointMetadata(
  { telemetry, labels }: Instance,
  tunnelTarget: string | undefined,
  { outbound }: AssignmentRequest,
) {
  const socketMatch =
    tunnelTarget !== undefined && outbound
      ? { tunnel: "http" }
      : labels[TLS_MODE] === "istio"
        ? { tlsMode: "istio" }
        : undefined;
  return filterMetadata({
    ...(tunnelTarget === undefined ? {} : { [ORIGINAL_DST_METADATA]: { local: tunnelTarget } }),
    ...(socketMatch === undefined ? {} : { "envoy.transport_socket_match": socketMatch }),
    istio: { workload: telemetry },
  });
}
