/**
 * Model → wire. Deterministic: map keys are sorted, so that equal content has equal bytes and a hash of them is a version.
 */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { GatewayAddress, Locality, Service, Workload } from "../model/workload.ts";
import { familyOf, ipToBytes } from "../net/ip.ts";
import {
  AddressSchema,
  ApplicationTunnel_Protocol,
  type ApplicationTunnelSchema,
  AppProtocol,
  type GatewayAddressSchema,
  IPFamilies,
  LoadBalancing_HealthPolicy,
  LoadBalancing_Mode,
  LoadBalancing_Scope,
  type LoadBalancingSchema,
  type LocalitySchema,
  type NetworkAddressSchema,
  NetworkMode,
  type PortListSchema,
  type ServiceSchema,
  TunnelProtocol,
  Visibility,
  type WorkloadSchema,
  WorkloadStatus,
  WorkloadType,
} from "../wire/gen/istio/workload/workload_pb.js";

/** A workload to send. Its ports may come as a list, because the wire can hold one port number twice. */
export type EncodableWorkload = Omit<Workload, "services"> & {
  readonly services: ReadonlyMap<string, Iterable<readonly [number, number]>>;
  /** Sends the weight even when it is the default. */
  readonly capacityStated?: true;
};

type ServiceAddress = Service["vips"][number] | Service["cidrVips"][number];

/** A service to send. Its addresses may come in one list, because the wire keeps their order across both sorts. */
export type EncodableService = Service & { readonly addresses?: readonly ServiceAddress[] };

/** Absent from the wire; every reader assumes it. */
const DEFAULT_TRUST_DOMAIN = "cluster.local";

export function encodeWorkloadAddress(workload: EncodableWorkload): Uint8Array {
  const message = create(AddressSchema, {
    type: { case: "workload", value: workloadShape(workload) },
  });
  return toBinary(AddressSchema, message);
}

export function encodeServiceAddress(service: EncodableService): Uint8Array {
  const message = create(AddressSchema, {
    type: { case: "service", value: serviceShape(service) },
  });
  return toBinary(AddressSchema, message);
}

const workloadTypes: Readonly<Record<Workload["workloadType"], WorkloadType>> = {
  deployment: WorkloadType.DEPLOYMENT,
  cronjob: WorkloadType.CRONJOB,
  pod: WorkloadType.POD,
  job: WorkloadType.JOB,
};

function workloadShape(workload: EncodableWorkload): MessageInitShape<typeof WorkloadSchema> {
  const { waypoint, networkGateway, applicationTunnel, locality } = workload;
  return {
    uid: workload.uid,
    name: workload.name,
    namespace: workload.namespace,
    addresses: workload.addresses.map(ipToBytes),
    hostname: workload.hostname,
    network: workload.network,
    tunnelProtocol: workload.protocol === "HBONE" ? TunnelProtocol.HBONE : TunnelProtocol.NONE,
    trustDomain: workload.trustDomain === DEFAULT_TRUST_DOMAIN ? "" : workload.trustDomain,
    serviceAccount: workload.serviceAccount,
    ...(waypoint === undefined ? {} : { waypoint: gatewayShape(waypoint) }),
    ...(networkGateway === undefined ? {} : { networkGateway: gatewayShape(networkGateway) }),
    node: workload.node,
    canonicalName: workload.canonicalName,
    canonicalRevision: workload.canonicalRevision,
    workloadType: workloadTypes[workload.workloadType],
    workloadName: workload.workloadName,
    nativeTunnel: workload.nativeTunnel,
    services: servicesShape(workload.services),
    authorizationPolicies: [...workload.authorizationPolicies],
    status: workload.status === "Healthy" ? WorkloadStatus.HEALTHY : WorkloadStatus.UNHEALTHY,
    clusterId: workload.clusterId,
    ...(applicationTunnel === undefined
      ? {}
      : { applicationTunnel: tunnelShape(applicationTunnel) }),
    ...(isNowhere(locality) ? {} : { locality: localityShape(locality) }),
    networkMode:
      workload.networkMode === "HostNetwork" ? NetworkMode.HOST_NETWORK : NetworkMode.STANDARD,
    ...(workload.capacityStated || workload.capacity !== 1 ? { capacity: workload.capacity } : {}),
  };
}

function servicesShape(
  services: EncodableWorkload["services"],
): Record<string, MessageInitShape<typeof PortListSchema>> {
  const shape: Record<string, MessageInitShape<typeof PortListSchema>> = {};
  for (const key of [...services.keys()].sort()) {
    const ports = [...(services.get(key) ?? [])];
    shape[key] = { ports: ports.map(([servicePort, targetPort]) => ({ servicePort, targetPort })) };
  }
  return shape;
}

function gatewayShape(gateway: GatewayAddress): MessageInitShape<typeof GatewayAddressSchema> {
  const { destination, hboneMtlsPort } = gateway;
  if (destination.kind === "hostname") {
    const { namespace, hostname } = destination;
    return { destination: { case: "hostname", value: { namespace, hostname } }, hboneMtlsPort };
  }
  const { network, ip } = destination.address;
  return {
    destination: { case: "address", value: { network, address: ipToBytes(ip) } },
    hboneMtlsPort,
  };
}

function tunnelShape(
  tunnel: NonNullable<Workload["applicationTunnel"]>,
): MessageInitShape<typeof ApplicationTunnelSchema> {
  const protocol =
    tunnel.protocol === "PROXY"
      ? ApplicationTunnel_Protocol.PROXY
      : ApplicationTunnel_Protocol.NONE;
  return { protocol, port: tunnel.port ?? 0 };
}

function isNowhere({ region, zone, subzone }: Locality): boolean {
  return region === "" && zone === "" && subzone === "";
}

function localityShape({
  region,
  zone,
  subzone,
}: Locality): MessageInitShape<typeof LocalitySchema> {
  return { region, zone, subzone };
}

const appProtocols: Readonly<Record<Service["ports"][number]["appProtocol"], AppProtocol>> = {
  UNKNOWN: AppProtocol.UNKNOWN,
  HTTP11: AppProtocol.HTTP11,
  HTTP2: AppProtocol.HTTP2,
  GRPC: AppProtocol.GRPC,
  TCP: AppProtocol.TCP,
  TLS: AppProtocol.TLS,
};

const ipFamilies: Readonly<Record<Service["ipFamilies"], IPFamilies>> = {
  Automatic: IPFamilies.AUTOMATIC,
  IPv4Only: IPFamilies.IPV4_ONLY,
  IPv6Only: IPFamilies.IPV6_ONLY,
  Dual: IPFamilies.DUAL,
};

function serviceShape(service: EncodableService): MessageInitShape<typeof ServiceSchema> {
  const { waypoint, loadBalancing } = service;
  return {
    name: service.name,
    namespace: service.namespace,
    hostname: service.hostname,
    addresses: (service.addresses ?? [...service.vips, ...service.cidrVips]).map(addressShape),
    ports: service.ports.map(({ servicePort, targetPort, appProtocol }) => ({
      servicePort,
      targetPort,
      appProtocol: appProtocols[appProtocol],
    })),
    subjectAltNames: [...service.subjectAltNames],
    ...(waypoint === undefined ? {} : { waypoint: gatewayShape(waypoint) }),
    weightedWaypoints: service.weightedWaypoints.map(({ destination, weight }) => ({
      destination: gatewayShape(destination),
      weight,
    })),
    ...(loadBalancing === undefined ? {} : { loadBalancing: loadBalancingShape(loadBalancing) }),
    ipFamilies: ipFamilies[service.ipFamilies],
    canonical: service.canonical,
    ingressUseWaypoint: service.ingressUseWaypoint,
    visibility: service.visibility === "Namespace" ? Visibility.NAMESPACE : Visibility.PUBLIC,
  };
}

function addressShape(address: ServiceAddress): MessageInitShape<typeof NetworkAddressSchema> {
  const { network } = address;
  if ("ip" in address) return { network, address: ipToBytes(address.ip) };
  const { ip, prefixLength } = address.cidr;
  const whole = prefixLength === (familyOf(ip) === 4 ? 32 : 128);
  return { network, address: ipToBytes(ip), ...(whole ? {} : { length: prefixLength }) };
}

type LoadBalancing = NonNullable<Service["loadBalancing"]>;

const scopes: Readonly<Record<LoadBalancing["routingPreferences"][number], LoadBalancing_Scope>> = {
  Region: LoadBalancing_Scope.REGION,
  Zone: LoadBalancing_Scope.ZONE,
  Subzone: LoadBalancing_Scope.SUBZONE,
  Node: LoadBalancing_Scope.NODE,
  Cluster: LoadBalancing_Scope.CLUSTER,
  Network: LoadBalancing_Scope.NETWORK,
};

const modes: Readonly<Record<LoadBalancing["mode"], LoadBalancing_Mode>> = {
  Standard: LoadBalancing_Mode.UNSPECIFIED_MODE,
  Strict: LoadBalancing_Mode.STRICT,
  Failover: LoadBalancing_Mode.FAILOVER,
  Passthrough: LoadBalancing_Mode.PASSTHROUGH,
};

function loadBalancingShape(
  loadBalancing: LoadBalancing,
): MessageInitShape<typeof LoadBalancingSchema> {
  return {
    routingPreference: loadBalancing.routingPreferences.map((scope) => scopes[scope]),
    mode: modes[loadBalancing.mode],
    healthPolicy:
      loadBalancing.healthPolicy === "AllowAll"
        ? LoadBalancing_HealthPolicy.ALLOW_ALL
        : LoadBalancing_HealthPolicy.ONLY_HEALTHY,
  };
}
