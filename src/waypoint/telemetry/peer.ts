/** The peers' facts under the names that formats, tags and expressions use (wire/waypoint.md section 7.2). */
import type { PeerWorkload } from "./record.ts";

const field: Readonly<Record<string, (peer: PeerWorkload) => string>> = {
  workload: (peer) => peer.workload,
  namespace: (peer) => peer.namespace,
  cluster: (peer) => peer.cluster,
  service: (peer) => peer.canonicalService,
  revision: (peer) => peer.canonicalRevision,
  // The mesh's records of workloads carry no labels; the reference fills these from the canonical name and revision.
  app: (peer) => peer.canonicalService,
  version: (peer) => peer.canonicalRevision,
  type: (peer) => peer.type || "unknown",
  name: (peer) => peer.name,
  region: (peer) => peer.region,
  availability_zone: (peer) => peer.zone,
};

/** Undefined: there is no such field. */
export function peerField(name: string): ((peer: PeerWorkload) => string) | undefined {
  return Object.hasOwn(field, name) ? field[name] : undefined;
}

/** What the mesh takes for the peer's identity; not proven by a certificate. */
export function peerIdentity(peer: PeerWorkload): string {
  const { trustDomain, namespace, serviceAccount } = peer;
  return `spiffe://${trustDomain || "cluster.local"}/ns/${namespace || "default"}/sa/${serviceAccount || "default"}`;
}

/** As a structure: filter states `downstream_peer` and `upstream_peer`. Empty values are left out. */
export function peerStructure(peer: PeerWorkload): Readonly<Record<string, unknown>> {
  const { workload, namespace, canonicalService, canonicalRevision, type } = peer;
  const owner =
    type === "" ? "" : `kubernetes://apis/apps/v1/namespaces/${namespace}/${type}s/${workload}`;
  return {
    ...filled({
      NAME: peer.name,
      NAMESPACE: namespace,
      WORKLOAD_NAME: workload,
      CLUSTER_ID: peer.cluster,
      IDENTITY: peerIdentity(peer),
    }),
    LABELS: filled({
      "service.istio.io/canonical-name": canonicalService,
      "service.istio.io/canonical-revision": canonicalRevision,
      app: canonicalService,
      version: canonicalRevision,
    }),
    ...filled({ OWNER: owner, REGION: peer.region, AVAILABILITY_ZONE: peer.zone }),
  };
}

function filled(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ""));
}
