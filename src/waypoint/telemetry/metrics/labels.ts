/** Labels of the reference's metrics with their fallbacks (wire/waypoint.md section 7.2), in the order of emission. */
import { peerIdentity } from "../peer.ts";
import type { PeerWorkload, UpstreamRecord } from "../record.ts";

export type Label = readonly [name: string, value: string];

const UNKNOWN = "unknown";

function or(value: string | undefined, fallback: string): string {
  return value === undefined || value === "" ? fallback : value;
}

/** `spiffe://<trust domain>/ns/<namespace>/sa/<account>`; the certificate is right even where the address is shared. */
function namespaceOf(principal: string | undefined): string | undefined {
  const start = principal?.indexOf("/ns/") ?? -1;
  return principal === undefined || start < 0
    ? undefined
    : principal.slice(start + 4).split("/")[0];
}

export function sourceLabels(
  peer: PeerWorkload | undefined,
  principal: string | undefined,
): readonly Label[] {
  const service = or(peer?.canonicalService, UNKNOWN);
  return [
    ["reporter", "waypoint"],
    ["source_workload", or(peer?.workload, UNKNOWN)],
    ["source_canonical_service", service],
    ["source_canonical_revision", or(peer?.canonicalRevision, "latest")],
    ["source_workload_namespace", or(namespaceOf(principal), or(peer?.namespace, UNKNOWN))],
    ["source_principal", or(principal, UNKNOWN)],
    ["source_app", service],
    ["source_version", or(peer?.canonicalRevision, UNKNOWN)],
    ["source_cluster", or(peer?.cluster, UNKNOWN)],
  ];
}

/** Names of clusters that stand for themselves. */
const PASSING: ReadonlySet<string> = new Set([
  "BlackHoleCluster",
  "PassthroughCluster",
  "InboundPassthroughCluster",
  "InboundPassthroughClusterIpv4",
  "InboundPassthroughClusterIpv6",
]);

function serviceName(upstream: UpstreamRecord | undefined): string | undefined {
  if (upstream === undefined) return undefined;
  if (PASSING.has(upstream.cluster)) return upstream.cluster;
  const { service } = upstream;
  return service && (service.name === "" ? service.host.split(".", 1)[0] : service.name);
}

export function destinationLabels(upstream: UpstreamRecord | undefined): readonly Label[] {
  const peer = upstream?.peer;
  const service =
    upstream !== undefined && PASSING.has(upstream.cluster) ? undefined : upstream?.service;
  const canonical = or(peer?.canonicalService, UNKNOWN);
  const revision = or(peer?.canonicalRevision, UNKNOWN);
  return [
    ["destination_workload", or(peer?.workload, UNKNOWN)],
    ["destination_workload_namespace", or(peer?.namespace, UNKNOWN)],
    ["destination_principal", peer === undefined ? UNKNOWN : peerIdentity(peer)],
    ["destination_app", canonical],
    ["destination_version", revision],
    ["destination_service", or(service?.host, UNKNOWN)],
    ["destination_canonical_service", canonical],
    ["destination_canonical_revision", revision],
    ["destination_service_name", or(serviceName(upstream), UNKNOWN)],
    ["destination_service_namespace", or(service?.namespace, UNKNOWN)],
    ["destination_cluster", or(peer?.cluster, UNKNOWN)],
  ];
}

/** Both ends have shown a certificate. */
export function securityLabel(
  principal: string | undefined,
  localPrincipal: string | undefined,
): Label {
  return ["connection_security_policy", principal && localPrincipal ? "mutual_tls" : "none"];
}
