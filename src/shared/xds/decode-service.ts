/** `istio.workload.Service` to the model (wire/ztunnel.md section 1.7). */
import type { LoadBalancing, NetworkAddress, Service } from "../model/workload.ts";
import type { Cidr } from "../net/cidr.ts";
import {
  IPFamilies,
  LoadBalancing_HealthPolicy,
  LoadBalancing_Mode,
  LoadBalancing_Scope,
  Visibility,
  type NetworkAddress as WireNetworkAddress,
  type Service as WireService,
} from "../wire/gen/istio/workload/workload_pb.js";
import {
  DecodeError,
  decodeEnum,
  decodeGateway,
  decodeIp,
  decodeServicePort,
  prefixOf,
} from "./decode-common.ts";

const ipFamilies: Readonly<Record<number, Service["ipFamilies"]>> = {
  [IPFamilies.AUTOMATIC]: "Automatic",
  [IPFamilies.IPV4_ONLY]: "IPv4Only",
  [IPFamilies.IPV6_ONLY]: "IPv6Only",
  [IPFamilies.DUAL]: "Dual",
};

const modes: Readonly<Record<number, LoadBalancing["mode"]>> = {
  [LoadBalancing_Mode.UNSPECIFIED_MODE]: "Standard",
  [LoadBalancing_Mode.STRICT]: "Strict",
  [LoadBalancing_Mode.FAILOVER]: "Failover",
  [LoadBalancing_Mode.PASSTHROUGH]: "Passthrough",
};

/** UNSPECIFIED_SCOPE is left out on purpose: it is refused. */
const scopes: Readonly<Record<number, LoadBalancing["routingPreferences"][number]>> = {
  [LoadBalancing_Scope.REGION]: "Region",
  [LoadBalancing_Scope.ZONE]: "Zone",
  [LoadBalancing_Scope.SUBZONE]: "Subzone",
  [LoadBalancing_Scope.NODE]: "Node",
  [LoadBalancing_Scope.CLUSTER]: "Cluster",
  [LoadBalancing_Scope.NETWORK]: "Network",
};

const healthPolicies: Readonly<Record<number, LoadBalancing["healthPolicy"]>> = {
  [LoadBalancing_HealthPolicy.ONLY_HEALTHY]: "OnlyHealthy",
  [LoadBalancing_HealthPolicy.ALLOW_ALL]: "AllowAll",
};

export function decodeService(wire: WireService): Service {
  const path = "service";
  return {
    name: wire.name,
    namespace: wire.namespace,
    hostname: wire.hostname,
    ...decodeAddresses(wire.addresses, `${path}.addresses`),
    ports: wire.ports.map(decodeServicePort),
    subjectAltNames: wire.subjectAltNames,
    ...(wire.waypoint && { waypoint: decodeGateway(wire.waypoint, `${path}.waypoint`) }),
    weightedWaypoints: wire.weightedWaypoints.map((weighted, i) => {
      const at = `${path}.weighted_waypoints[${i}]`;
      if (weighted.destination === undefined) throw new DecodeError(at, "has no destination");
      return {
        destination: decodeGateway(weighted.destination, `${at}.destination`),
        weight: weighted.weight,
      };
    }),
    ...(wire.loadBalancing && {
      loadBalancing: decodeLoadBalancing(wire.loadBalancing, `${path}.load_balancing`),
    }),
    ipFamilies: decodeEnum(ipFamilies, wire.ipFamilies, `${path}.ip_families`),
    canonical: wire.canonical,
    ingressUseWaypoint: wire.ingressUseWaypoint,
    // Unknown values count as public, as with the reference: visibility is no access control.
    visibility: wire.visibility === Visibility.NAMESPACE ? "Namespace" : "Public",
  };
}

/** A prefix of full length (or of no stated length) is one exact address, any other a range. */
function decodeAddresses(
  addresses: readonly WireNetworkAddress[],
  path: string,
): Pick<Service, "vips" | "cidrVips"> {
  const vips: NetworkAddress[] = [];
  const cidrVips: { network: string; cidr: Cidr }[] = [];
  addresses.forEach((address, i) => {
    const at = `${path}[${i}]`;
    const { network, address: bytes, length } = address;
    const ip = decodeIp(bytes, at);
    if (length === undefined || length === bytes.length * 8) {
      vips.push({ network, ip });
      return;
    }
    const cidr = prefixOf(bytes, length);
    if (cidr === undefined) throw new DecodeError(at, `impossible prefix length ${length}`);
    cidrVips.push({ network, cidr });
  });
  return { vips, cidrVips };
}

function decodeLoadBalancing(
  wire: NonNullable<WireService["loadBalancing"]>,
  path: string,
): LoadBalancing {
  return {
    routingPreferences: wire.routingPreference.map((scope, i) =>
      decodeEnum(scopes, scope, `${path}.routing_preference[${i}]`),
    ),
    mode: decodeEnum(modes, wire.mode, `${path}.mode`),
    healthPolicy: decodeEnum(healthPolicies, wire.healthPolicy, `${path}.health_policy`),
  };
}
