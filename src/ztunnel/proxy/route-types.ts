/**
 * Outcomes of the outbound decision: everything the shell needs to open the connection, log it and count it, together
 * with the reason and the candidates that were passed over (wire/ztunnel.md section 4).
 */
import type { ErrorCode } from "../../shared/base/errors.ts";
import type { Service, Workload } from "../../shared/model/workload.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";
import type { IpAddress, IpFamily } from "../../shared/net/ip.ts";

export interface OutboundRequest {
  /** Our pod's own record. */
  readonly source: Workload;
  /** Canonical address of the client socket. */
  readonly sourceIp: IpAddress;
  /** Where the application wanted to go. */
  readonly destination: SocketAddress;
}

export interface RouteContext {
  /** The network of this node. */
  readonly network: string;
  /** Ports of this proxy itself: see illegalPorts(). */
  readonly illegalPorts: ReadonlySet<number>;
  /** 0 inclusive to 1 exclusive. */
  readonly random: () => number;
}

/** An endpoint that was looked at and not taken. */
export interface PassedOver {
  readonly workloadUid: string;
  readonly why:
    | "unhealthy"
    | "no target port"
    | "not reachable"
    | "locality"
    | "weight zero"
    | "not drawn";
}

/** Why the connection goes where it goes. */
export interface RouteReason {
  /** Words for a person, lower case, no period. */
  readonly text: string;
  /** How the destination address was understood. */
  readonly addressed:
    | { readonly kind: "service"; readonly hostname: string; readonly namespace: string }
    | { readonly kind: "workload"; readonly uid: string }
    | { readonly kind: "unknown" };
  /** Bounded: at most MAX_PASSED_OVER entries, `passedOverTotal` counts all. */
  readonly passedOver: readonly PassedOver[];
  readonly passedOverTotal: number;
}

interface Common {
  readonly reason: RouteReason;
  /** The service that was addressed: labels, access log, and `host=` of the forwarded header. */
  readonly service: Service | undefined;
}

/** Plain TCP. */
export interface TcpRoute extends Common {
  readonly kind: "tcp";
  readonly via: "passthrough" | "plaintext";
  readonly actualDestination: SocketAddress;
  /** Undefined when passing through to somewhere unknown: no destination labels. */
  readonly upstream: Workload | undefined;
}

/** One HBONE tunnel. */
export interface HboneRoute extends Common {
  readonly kind: "hbone";
  readonly via: "direct" | "service-waypoint" | "workload-waypoint";
  readonly actualDestination: SocketAddress;
  /** `:authority` of the CONNECT. */
  readonly authority: string;
  /** SPIFFE URIs of which the peer must present one. */
  readonly acceptedIdentities: readonly string[];
  /** The next hop; a waypoint's record when going through one. */
  readonly upstream: Workload;
}

/** HBONE inside HBONE, through the gateway of another network (section 4.4). */
export interface DoubleHboneRoute extends Common {
  readonly kind: "double-hbone";
  readonly via: "network-gateway";
  readonly actualDestination: SocketAddress;
  /** `:authority` of both CONNECTs. */
  readonly authority: string;
  /** Of the gateway. */
  readonly acceptedIdentities: readonly string[];
  /** Of the far end; when empty, no handshake can succeed. */
  readonly innerIdentities: readonly string[];
  /** Value of `x-forwarded-network` on the inner CONNECT. */
  readonly forwardedNetwork: string;
  /** The endpoint (or waypoint) behind the gateway. */
  readonly upstream: Workload;
  readonly gateway: Workload;
}

/** Connect nowhere. */
export interface RefusedRoute extends Common {
  readonly kind: "refuse";
  readonly code: ErrorCode;
  readonly message: string;
}

export type OutboundRoute = TcpRoute | HboneRoute | DoubleHboneRoute | RefusedRoute;

/** A hostname must be resolved before the decision can be finished. */
interface ResolveStep {
  readonly kind: "resolve";
  readonly hostname: string;
  readonly preferredFamily: IpFamily;
  /** The workload that is known by name only, for istio_on_demand_dns_total. */
  readonly workload: Workload;
  /** Goes on with the addresses found; none means failure. */
  readonly proceed: (addresses: readonly IpAddress[]) => OutboundDecision;
}

export type OutboundDecision = OutboundRoute | ResolveStep;
