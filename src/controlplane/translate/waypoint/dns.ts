/** How names are resolved for clusters that have names as endpoints. */
import { create, toBinary } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import { Cluster_DnsLookupFamily } from "../../../shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import { CaresDnsResolverConfigSchema } from "../../../shared/wire/gen/envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver_pb.js";
import type { Mesh } from "./mesh.ts";
import { families, type WaypointNode } from "./node.ts";
import type { L7Service } from "./services.ts";
import type { ClusterInit } from "./static-clusters.ts";
import { durationOf, pack, unknownBytes } from "./wire.ts";

const UDP_MAX_QUERIES = 100;
const JITTER_MS = 100;
const JITTER_FIELD = 58;

export function lookupFamily(node: WaypointNode): Cluster_DnsLookupFamily {
  const { v4, v6 } = families(node);
  if (v4 && v6) return Cluster_DnsLookupFamily.ALL;
  return v6 ? Cluster_DnsLookupFamily.V6_ONLY : Cluster_DnsLookupFamily.V4_ONLY;
}

export function dnsFields(
  mesh: Mesh,
  node: WaypointNode,
  service: L7Service,
): Partial<ClusterInit> {
  return {
    // Racing both families against each other needs the answers of both.
    dnsLookupFamily: service.raceFirstConnect ? Cluster_DnsLookupFamily.ALL : lookupFamily(node),
    dnsRefreshRate: durationOf(mesh.dnsRefreshRateMs),
    respectDnsTtl: true,
    typedDnsResolverConfig: {
      name: "envoy.network.dns_resolver.cares",
      typedConfig: pack(CaresDnsResolverConfigSchema, { udpMaxQueries: UDP_MAX_QUERIES }),
    },
  };
}

/** `dns_jitter`, newer than our copy of the API: refreshes of many names do not fall together. */
export function dnsJitter() {
  const message = create(DurationSchema, durationOf(JITTER_MS));
  return unknownBytes(JITTER_FIELD, toBinary(DurationSchema, message));
}

export function dnsCacheName(hostname: string): string {
  return `${hostname}_dfp_dns_cache`;
}
