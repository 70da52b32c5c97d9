/** Kubernetes services. */
import type { Labels } from "../../shared/model/enrollment.ts";
import type {
  LoadBalancing,
  NetworkAddress,
  Service,
  ServicePort,
} from "../../shared/model/workload.ts";
import { familyOf, parseIp } from "../../shared/net/ip.ts";
import type { ObjectOf } from "../../shared/objects/kinds.ts";
import { allowingUnready, nodeLocal, trafficDistribution } from "./load-balancing.ts";
import {
  GATEWAY_MANAGED,
  INGRESS_USE_WAYPOINT,
  MESH_GATEWAY_MANAGERS,
  parseBoolean,
} from "./names.ts";
import type { PortNames, ServiceInfo } from "./service-info.ts";
import { servicePortProtocol } from "./service-ports.ts";
import type { MeshSettings } from "./settings.ts";
import type { Binding } from "./waypoints.ts";
import { attachWeighted, type WeightedBinding } from "./weighted-waypoints.ts";

export interface NamespaceFacts {
  readonly labels: Labels;
  readonly annotations: Labels;
}

/** Waypoints and network gateways are not themselves reached through a waypoint. */
export function isMeshGateway(service: ObjectOf<"Service"> | ObjectOf<"ServiceEntry">): boolean {
  return MESH_GATEWAY_MANAGERS.has(service.metadata.labels[GATEWAY_MANAGED] ?? "");
}

/** Undefined for an ExternalName: its clients resolve the name by themselves and then meet the target's own entry. */
export function buildService(
  object: ObjectOf<"Service">,
  weighted: WeightedBinding,
  namespace: NamespaceFacts,
  network: string,
  settings: MeshSettings,
): ServiceInfo | undefined {
  const { metadata, spec } = object;
  if (spec.type === "ExternalName") return undefined;
  const addresses = vipsOf(object, network);
  if (addresses === undefined) return undefined;
  const loadBalancing = loadBalancingOf(object, namespace);
  const service: Service = {
    name: metadata.name,
    namespace: metadata.namespace,
    hostname: serviceHostname(metadata.name, metadata.namespace, settings),
    vips: addresses,
    cidrVips: [],
    ports: spec.ports.map(portOf),
    subjectAltNames: [],
    ...attachWeighted(weighted),
    ...(loadBalancing === undefined ? {} : { loadBalancing }),
    ipFamilies: ipFamiliesOf(object, addresses),
    canonical: true,
    ingressUseWaypoint: usesWaypointFromIngress(
      weighted.binding,
      metadata.labels,
      namespace.labels,
    ),
    visibility: "Public",
  };
  return {
    source: object,
    service,
    portNames: portNamesOf(object),
    selector: spec.selector,
    binding: weighted.binding,
  };
}

export function serviceHostname(name: string, namespace: string, settings: MeshSettings): string {
  return `${name}.${namespace}.svc.${settings.clusterDomain}`;
}

type Port = ObjectOf<"Service">["spec"]["ports"][number];

/** The API server fills in the service port where no target is given. */
function targetPortOf(port: Port): number | string {
  return port.targetPort === undefined || port.targetPort === 0 || port.targetPort === ""
    ? port.port
    : port.targetPort;
}

function portOf(port: Port): ServicePort {
  const target = targetPortOf(port);
  return {
    servicePort: port.port,
    targetPort: typeof target === "number" ? target : 0,
    appProtocol: servicePortProtocol(port),
  };
}

function portNamesOf(object: ObjectOf<"Service">): ReadonlyMap<number, PortNames> {
  return new Map(
    object.spec.ports.map((port) => {
      const target = targetPortOf(port);
      return [port.port, { port: port.name, target: typeof target === "string" ? target : "" }];
    }),
  );
}

/** Undefined when an address cannot be read. */
function vipsOf(object: ObjectOf<"Service">, network: string): NetworkAddress[] | undefined {
  const vips: NetworkAddress[] = [];
  for (const text of clusterIpsOf(object)) {
    const ip = parseIp(text);
    if (ip === undefined) return undefined;
    vips.push({ network, ip });
  }
  return vips;
}

function clusterIpsOf({ spec }: ObjectOf<"Service">): readonly string[] {
  const given = spec.clusterIPs.length > 0 ? spec.clusterIPs : [spec.clusterIP ?? ""];
  return given.filter((ip) => ip !== "" && ip !== "None");
}

/** As the API server of a single-stack cluster would have filled them in. */
function ipFamiliesOf(
  object: ObjectOf<"Service">,
  vips: readonly NetworkAddress[],
): Service["ipFamilies"] {
  const { ipFamilies, ipFamilyPolicy, selector, clusterIP, clusterIPs } = object.spec;
  const families = new Set(
    ipFamilies.length > 0
      ? ipFamilies
      : vips.map(({ ip }) => (familyOf(ip) === 4 ? "IPv4" : "IPv6")),
  );
  const headless = clusterIP === "None" || clusterIPs.includes("None");
  const unselected =
    headless &&
    Object.keys(selector).length === 0 &&
    ipFamilies.length === 0 &&
    ipFamilyPolicy === undefined;
  if (unselected || families.size === 2) return "Dual";
  return families.has("IPv6") ? "IPv6Only" : "IPv4Only";
}

function loadBalancingOf(
  object: ObjectOf<"Service">,
  namespace: NamespaceFacts,
): LoadBalancing | undefined {
  const { spec, metadata } = object;
  const chosen =
    spec.internalTrafficPolicy === "Local"
      ? nodeLocal
      : trafficDistribution(spec.trafficDistribution, metadata.annotations, namespace.annotations);
  return spec.publishNotReadyAddresses ? allowingUnready(chosen) : chosen;
}

/** Whether ingress gateways go through the waypoint; only asked of services that have one. */
export function usesWaypointFromIngress(
  binding: Binding,
  labels: Labels,
  namespaceLabels: Labels,
): boolean {
  if (binding.kind !== "bound") return false;
  const text = labels[INGRESS_USE_WAYPOINT] ?? namespaceLabels[INGRESS_USE_WAYPOINT];
  return text !== undefined && parseBoolean(text) === true;
}
