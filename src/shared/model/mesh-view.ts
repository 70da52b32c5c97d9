/**
 * What decisions may ask of the mesh's state. Everything that routes, resolves or authorizes takes this interface, so it
 * runs alike on the live store, on a recording of its questions (on-demand mode) and on objects read from files.
 */
import type { IpAddress } from "../net/ip.ts";
import type { Policy } from "./policy.ts";
import type { PortMap, Service, ServiceKey, Workload } from "./workload.ts";

/** A workload standing behind a service. The workload record is the current one. */
export interface ServiceEndpoint {
  readonly workload: Workload;
  /** Service port to target port of this endpoint. */
  readonly ports: PortMap;
}

/** A policy that the control plane sent and that we could not understand; it has no older version to fall back on. */
export interface RefusedPolicy {
  readonly namespace: string;
  readonly name: string;
  /** Undefined when not even the scope could be read: then it applies only where a workload lists its name. */
  readonly scope: Policy["scope"] | undefined;
  /** Field path and problem. */
  readonly reason: string;
}

/** The policies that concern one workload. The object stays the same until one of them changes: a key for caches. */
export interface ApplicablePolicies {
  /** Sorted by `namespace/name`; order never decides. */
  readonly policies: readonly Policy[];
  /** Names that the workload lists and nobody has delivered (yet). They count for nothing, but are reported. */
  readonly unknown: readonly string[];
  /** Delivered but not understood. They deny: what cannot be evaluated is never taken for permission. */
  readonly refused: readonly RefusedPolicy[];
}

/** Ways to rank services that share a hostname or a virtual address (wire/ztunnel.md section 1.9). */
export interface ServicePreference {
  /** Services of NAMESPACE visibility are seen by their own namespace only; without a namespace all are seen. */
  readonly clientNamespace?: string | undefined;
  /** Ranks below canonical services, above the rest. */
  readonly preferredNamespace?: string | undefined;
}

export interface MeshView {
  workloadByUid(uid: string): Workload | undefined;
  /** Host-network workloads are not found by address. */
  workloadByAddress(network: string, ip: IpAddress): Workload | undefined;
  /** A workload that itself carries this hostname. */
  workloadByHostname(namespace: string, hostname: string): Workload | undefined;
  service(key: ServiceKey): Service | undefined;
  /** Exact virtual addresses before prefixes; the best by rank. */
  serviceByVip(network: string, ip: IpAddress, preference: ServicePreference): Service | undefined;
  /** The best visible service of this hostname in any namespace. */
  serviceByHostname(hostname: string, preference: ServicePreference): Service | undefined;
  /** Every service of this hostname (lower case, a wildcard as it stands), the first stored first; for DNS, which ranks itself. */
  servicesByHostname(hostname: string): readonly Service[];
  /** All services of this hostname, canonical ones first; visibility is not applied. */
  servicesByHostname(hostname: string): readonly Service[];
  /** All endpoints, the unhealthy ones included. The array stays the same until one of them changes. */
  allEndpoints(key: ServiceKey): readonly ServiceEndpoint[];
  /** Whether this workload stands behind the service. */
  endpoint(key: ServiceKey, workloadUid: string): ServiceEndpoint | undefined;
  policiesFor(workload: Pick<Workload, "namespace" | "authorizationPolicies">): ApplicablePolicies;
}
