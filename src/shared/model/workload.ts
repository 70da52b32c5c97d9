/**
 * What the mesh knows about its workloads: plain data, as decoded from `istio.workload.Workload` (wire/ztunnel.md
 * section 1.7) with the wire's defaults filled in. Enum spellings are those of the configuration dump.
 */
import type { Cidr } from "../net/cidr.ts";
import type { IpAddress } from "../net/ip.ts";

/** `namespace/hostname`. */
export type ServiceKey = `${string}/${string}`;

export function serviceKey(namespace: string, hostname: string): ServiceKey {
  return `${namespace}/${hostname}`;
}

/** An address inside a named network; the network "" is the default one. */
export interface NetworkAddress {
  readonly network: string;
  readonly ip: IpAddress;
}

/** `network/ip`, the key of address indexes and of on-demand subscriptions. */
export function networkAddressKey(address: NetworkAddress): string {
  return `${address.network}/${address.ip}`;
}

/** Where a waypoint or a network gateway is found. */
export interface GatewayAddress {
  readonly destination:
    | { readonly kind: "hostname"; readonly namespace: string; readonly hostname: string }
    | { readonly kind: "address"; readonly address: NetworkAddress };
  readonly hboneMtlsPort: number;
}

export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subzone: string;
}

export interface ApplicationTunnel {
  readonly protocol: "NONE" | "PROXY";
  /** Undefined leaves the port as it is. */
  readonly port?: number;
}

/** Service port to target port of one endpoint. */
export type PortMap = ReadonlyMap<number, number>;

export type TunnelProtocol = "TCP" | "HBONE";
export type WorkloadType = "deployment" | "cronjob" | "pod" | "job";

export interface Workload {
  /** Key of the whole mesh. */
  readonly uid: string;
  /** Pod name. */
  readonly name: string;
  readonly namespace: string;
  readonly addresses: readonly IpAddress[];
  /** DNS name when the workload has no address; "" otherwise. */
  readonly hostname: string;
  readonly network: string;
  readonly networkMode: "Standard" | "HostNetwork";
  readonly protocol: TunnelProtocol;
  readonly trustDomain: string;
  readonly serviceAccount: string;
  /** Waypoint for traffic addressed to the workload itself. */
  readonly waypoint?: GatewayAddress;
  readonly networkGateway?: GatewayAddress;
  readonly node: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly workloadType: WorkloadType;
  /** Name of the controller, for telemetry. */
  readonly workloadName: string;
  readonly nativeTunnel: boolean;
  readonly services: ReadonlyMap<ServiceKey, PortMap>;
  /** `namespace/name` of the selector policies that apply. */
  readonly authorizationPolicies: readonly string[];
  readonly status: "Healthy" | "Unhealthy";
  readonly clusterId: string;
  readonly applicationTunnel?: ApplicationTunnel;
  readonly locality: Locality;
  /** Load-balancing weight; 1 when the control plane does not say. */
  readonly capacity: number;
}

export type AppProtocol = "UNKNOWN" | "HTTP11" | "HTTP2" | "GRPC" | "TCP" | "TLS";

export interface ServicePort {
  readonly servicePort: number;
  /** 0: a named port, to be looked up at the endpoint. */
  readonly targetPort: number;
  readonly appProtocol: AppProtocol;
}

export type LocalityScope = "Region" | "Zone" | "Subzone" | "Node" | "Cluster" | "Network";

export interface LoadBalancing {
  readonly routingPreferences: readonly LocalityScope[];
  readonly mode: "Standard" | "Strict" | "Failover" | "Passthrough";
  readonly healthPolicy: "OnlyHealthy" | "AllowAll";
}

export interface WeightedWaypoint {
  readonly destination: GatewayAddress;
  readonly weight: number;
}

export interface Service {
  readonly name: string;
  readonly namespace: string;
  readonly hostname: string;
  /** Exact virtual addresses. */
  readonly vips: readonly NetworkAddress[];
  /** Virtual addresses that are whole prefixes. */
  readonly cidrVips: readonly { readonly network: string; readonly cidr: Cidr }[];
  readonly ports: readonly ServicePort[];
  /** Further SPIFFE identities accepted from endpoints. */
  readonly subjectAltNames: readonly string[];
  readonly waypoint?: GatewayAddress;
  readonly weightedWaypoints: readonly WeightedWaypoint[];
  readonly loadBalancing?: LoadBalancing;
  readonly ipFamilies: "Automatic" | "IPv4Only" | "IPv6Only" | "Dual";
  readonly canonical: boolean;
  readonly ingressUseWaypoint: boolean;
  readonly visibility: "Public" | "Namespace";
}

/** One entry of the address book. */
export type Address =
  | { readonly kind: "workload"; readonly workload: Workload }
  | { readonly kind: "service"; readonly service: Service };
