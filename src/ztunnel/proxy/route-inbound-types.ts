/** Outcomes of the two inbound decisions, before authorization (wire/ztunnel.md section 5). */
import type { ConnectionFacts } from "../../shared/authz/decision.ts";
import type { ErrorCode } from "../../shared/base/errors.ts";
import type { SpiffeIdentity } from "../../shared/identity/spiffe.ts";
import type { Service, Workload } from "../../shared/model/workload.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";

/** A CONNECT on port 15008. */
export interface InboundRequest {
  /** Our pod's own record; undefined when it has not arrived. */
  readonly local: Workload | undefined;
  /** TCP peer of the HBONE connection. */
  readonly peer: SocketAddress;
  readonly peerIdentity: SpiffeIdentity;
  /** Local address of the HBONE connection; its IP is where the application is reached. */
  readonly connectionDestination: SocketAddress;
  readonly method: string;
  /** `:authority` as text. */
  readonly authority: string;
  /** `host=` of the forwarded header, for the reported service. */
  readonly forwardedHost?: string | undefined;
}

export interface InboundContext {
  /** The network of this node. */
  readonly network: string;
  readonly illegalPorts: ReadonlySet<number>;
  /** LOCALHOST_APP_TUNNEL. */
  readonly localhostAppTunnel: boolean;
}

/** Which source address the socket to the application gets. */
export type SourceBinding = "peer" | "loopback" | "own";

/** To be written to the application before any payload (PROXY protocol v2). */
export interface ProxyHeader {
  readonly source: SocketAddress;
  readonly destination: SocketAddress;
  /** TLV 0xD0: the whole SPIFFE URI of the peer. */
  readonly identity: string;
}

/** Go on: authorize `facts`, then connect. */
export interface InboundConnect {
  readonly kind: "connect";
  readonly destination: SocketAddress;
  readonly sourceBinding: SourceBinding;
  readonly facts: ConnectionFacts;
  /** For labels: the service this connection is reported under. */
  readonly service: Service | undefined;
  readonly proxyHeader: ProxyHeader | undefined;
}

export interface InboundRefusal {
  readonly kind: "refuse";
  readonly code: ErrorCode;
  /** Status of the CONNECT answer; on the plaintext path the socket is just closed. */
  readonly status: 400 | 503;
  readonly message: string;
}

export type InboundDecision = InboundConnect | InboundRefusal;

/** A plaintext connection caught on port 15006. */
export interface PlaintextRequest {
  readonly local: Workload;
  readonly peer: SocketAddress;
  /** Original destination. */
  readonly destination: SocketAddress;
}
