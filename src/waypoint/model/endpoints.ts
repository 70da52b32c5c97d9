/** Endpoints of a cluster as plain data (wire/waypoint.md section 4.4); compiled by compile/endpoints.ts. */
import type { SocketAddress } from "../../shared/net/authority.ts";

export interface Assignment {
  readonly cluster: string;
  readonly localities: readonly LocalityEndpoints[];
  /** Percent; 140 unless said otherwise. */
  readonly overprovisioningFactor: number;
  /** Health of a priority counts endpoints by their weight. */
  readonly weightedPriorityHealth: boolean;
}

export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
}

export interface LocalityEndpoints {
  readonly locality: Locality;
  /** Undefined or 0: gets nothing where localities are weighted. */
  readonly weight: number | undefined;
  /** 0 is the first choice. */
  readonly priority: number;
  readonly endpoints: readonly EndpointConfig[];
}

/** What the control plane says; outlier detection comes on top. */
export type EndpointHealth = "healthy" | "degraded" | "unhealthy";

export interface EndpointConfig {
  /** As Envoy prints and hashes the address: `10.0.0.1:80`, `envoy://connect_originate/10.0.0.1:80`. */
  readonly hostText: string;
  readonly target: EndpointTarget;
  readonly hostname: string;
  readonly weight: number;
  readonly health: EndpointHealth;
  /** From `envoy.lb` metadata: hashed in place of the address. */
  readonly hashKey: string | undefined;
  readonly workload: EndpointWorkload | undefined;
  /** `envoy.transport_socket_match`, for transport_socket_matches. */
  readonly transportMatch: ReadonlyMap<string, string>;
}

/** `istio.workload` metadata: "<workload>;<namespace>;<canonical name>;<canonical revision>;<cluster>". */
export interface EndpointWorkload {
  readonly workload: string;
  readonly namespace: string;
  readonly canonicalService: string;
  readonly canonicalRevision: string;
  readonly cluster: string;
}

export type EndpointTarget =
  /** In a tunnel to `tunnel` (the pod's ztunnel, or a waypoint that stands before it) whose authority is `address`. */
  | { readonly kind: "hbone"; readonly address: SocketAddress; readonly tunnel: SocketAddress }
  /** In a tunnel to `authority` inside a tunnel through another network's gateway. */
  | { readonly kind: "double-hbone"; readonly gateway: SocketAddress; readonly authority: string }
  /** TCP; the further addresses are other ways to the same endpoint. */
  | {
      readonly kind: "tcp";
      readonly address: SocketAddress;
      readonly additional: readonly SocketAddress[];
    }
  /** To be resolved. */
  | { readonly kind: "name"; readonly host: string; readonly port: number }
  /** One of the reference's internal listeners without an address; only fixed clusters have it. */
  | { readonly kind: "internal"; readonly listener: string };
