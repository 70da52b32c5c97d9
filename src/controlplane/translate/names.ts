/** Labels and annotations that carry meaning for the mesh (wire/ztunnel.md sections 1.6 and 1.10). */

export const USE_WAYPOINT = "istio.io/use-waypoint";
export const USE_WAYPOINT_NAMESPACE = "istio.io/use-waypoint-namespace";
export const USE_WAYPOINT_CANARY = "istio.io/use-waypoint-canary";
export const USE_WAYPOINT_CANARY_NAMESPACE = "istio.io/use-waypoint-canary-namespace";
export const USE_WAYPOINT_CANARY_WEIGHT = "istio.io/use-waypoint-canary-weight";
export const WAYPOINT_FOR = "istio.io/waypoint-for";
export const INGRESS_USE_WAYPOINT = "istio.io/ingress-use-waypoint";
export const GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name";
export const GATEWAY_NAME_OVERRIDE = "gateway.istio.io/name-override";
export const GATEWAY_MANAGED = "gateway.istio.io/managed";
export const GATEWAY_SERVICE_ACCOUNT = "gateway.istio.io/service-account";
/** Managers whose services are waypoints and network gateways themselves. */
export const MESH_GATEWAY_MANAGERS: ReadonlySet<string> = new Set([
  "istio.io-mesh-controller",
  "istio.io-eastwest-controller",
]);
export const INBOUND_BINDING = "ambient.istio.io/waypoint-inbound-binding";
export const TUNNEL_LABEL = "networking.istio.io/tunnel";
export const TRAFFIC_DISTRIBUTION = "networking.istio.io/traffic-distribution";
export const AUTO_ALLOCATE_IP = "networking.istio.io/enable-autoallocate-ip";
export const DRY_RUN = "istio.io/dry-run";
export const REVISION_LABEL = "istio.io/rev";
export const NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name";
export const NETWORK_LABEL = "topology.istio.io/network";
export const SUBZONE_LABEL = "topology.istio.io/subzone";
export const REGION_LABEL = "topology.kubernetes.io/region";
export const ZONE_LABEL = "topology.kubernetes.io/zone";
export const SLICE_SERVICE_LABEL = "kubernetes.io/service-name";
export const WORKLOAD_NAME_LABEL = "service.istio.io/workload-name";
export const AUTO_REGISTRATION_GROUP = "istio.io/autoRegistrationGroup";
export const REMOTE_GATEWAY_CLASS = "istio-remote";
export const WAYPOINT_GATEWAY_CLASS = "istio-waypoint";
export const WAYPOINT_CONTROLLER = "istio.io/mesh-controller";

/** Go's strconv.ParseBool, which is how the reference reads boolean labels. Undefined when it is neither. */
export function parseBoolean(text: string): boolean | undefined {
  if (["1", "t", "T", "TRUE", "true", "True"].includes(text)) return true;
  if (["0", "f", "F", "FALSE", "false", "False"].includes(text)) return false;
  return undefined;
}
