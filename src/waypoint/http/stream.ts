/**
 * The seam between codecs (HTTP/1.1, HTTP/2; server and client) and the exchange that joins a request with its upstream.
 * Push in both directions, with back-pressure: a writer's `body` returns false when it wants a pause and calls `writable` on
 * the other side's receiver when it has room again; a receiver's `body` returns false when it wants a pause and `resume` is
 * called on the stream when it has room again. Octets are valid only during the call: who keeps them copies them.
 * After `end`, `reset` or a received `reset` nothing more is called in that direction.
 */
import type { Fields, HttpProtocol, RequestHead, ResponseFlag, ResponseHead } from "./message.ts";

/** Why a message ended before its end. */
export type ResetReason =
  /** The peer reset the stream (RST_STREAM CANCEL and the like), or closed its connection. */
  | { readonly kind: "remote-reset"; readonly http2ErrorCode?: number }
  /** REFUSED_STREAM, or GOAWAY below this stream: the peer provably did not act on the request. */
  | { readonly kind: "refused" }
  /** The connection broke or was closed under the stream. `reused`: it had served requests before. */
  | { readonly kind: "connection-lost"; readonly detail: string; readonly reused: boolean }
  /** What came is not HTTP, or breaks its rules. */
  | { readonly kind: "protocol-error"; readonly detail: string }
  /** We gave up: timeouts, drain, the other side went away. */
  | { readonly kind: "local"; readonly detail: string };

/** Writes one message's body. Implemented by codecs. */
export interface BodyWriter {
  /** False: wait for `writable`. What is given all the same is taken. */
  body(bytes: Buffer, start: number, end: number): boolean;
  /** The end of the message. */
  end(trailers: Fields | undefined): void;
  /** Breaks the message off so that the peer can tell. Idempotent. */
  reset(reason: ResetReason): void;
  /** Our receiver has room again after its `body` returned false. */
  resume(): void;
}

/** The server codec's side of one request: answers it. */
export interface ServerStream extends BodyWriter {
  readonly protocol: HttpProtocol;
  /** Octets of this request and its answer on the wire so far, heads and framing included. */
  readonly wireBytesReceived: number;
  readonly wireBytesSent: number;
  /** 100, 102, 103: no end of stream. */
  interim(head: ResponseHead): void;
  /** Call once, before body and end. */
  head(head: ResponseHead, endStream: boolean): void;
  /**
   * After `head` with 101 (HTTP/1.1) or 200 to a CONNECT: raw octets follow in both directions through body and end.
   * A codec turns hop-by-hop fields into its own form itself.
   */
  readonly connection: DownstreamInfo;
}

/**
 * Receives one request's body. Implemented by the exchange. `reset` comes also after `end`, while the answer is not complete:
 * the client has gone. A reset of kind protocol-error leaves the answer's direction open for a 400.
 */
export interface RequestReceiver {
  body(bytes: Buffer, start: number, end: number): boolean;
  end(trailers: Fields | undefined): void;
  reset(reason: ResetReason): void;
  /** The answer's writer has room again. */
  writable(): void;
}

/** Called by server codecs for each request; the codec holds the body back until this returns. */
export type AcceptRequest = (
  head: RequestHead,
  endStream: boolean,
  stream: ServerStream,
) => RequestReceiver;

/** A request that a server codec has answered itself, because it is not one; for the log. */
export interface RefusedRequest {
  readonly protocol: HttpProtocol;
  /** DPE for what is not HTTP. */
  readonly flags: readonly ResponseFlag[];
  /** 0: none was sent. */
  readonly status: number;
  /** %RESPONSE_CODE_DETAILS%. */
  readonly details: string;
  readonly wireBytesReceived: number;
  readonly wireBytesSent: number;
}

export type ReportRefused = (refused: RefusedRequest, connection: DownstreamInfo) => void;

/** A server codec over one connection, as whoever accepted the connection sees it. */
export interface HttpServerConnection {
  readonly activeRequests: number;
  /** Takes no new requests where the protocol can say so, and closes after the last. */
  drain(): void;
  /** Closes at once; requests under way are reset. */
  destroy(reason: ResetReason): void;
  /** Settles when the transport is closed; never rejects. */
  readonly closed: Promise<void>;
}

/** Receives one answer. Implemented by the exchange's attempt. */
export interface ResponseReceiver {
  interim(head: ResponseHead): void;
  head(head: ResponseHead, endStream: boolean): void;
  body(bytes: Buffer, start: number, end: number): boolean;
  end(trailers: Fields | undefined): void;
  reset(reason: ResetReason): void;
  /** The request's writer has room again. */
  writable(): void;
}

/** A client codec over one connection to one endpoint. */
export interface HttpClientConnection {
  readonly protocol: HttpProtocol;
  /** Requests that can be opened now: 0 or 1 for HTTP/1.1. */
  readonly capacity: number;
  readonly activeRequests: number;
  /** Requests opened so far, for max_requests_per_connection and "reused". */
  readonly servedRequests: number;
  open(head: RequestHead, endStream: boolean, receiver: ResponseReceiver): BodyWriter;
  /** No new requests; closes after the last. */
  drain(): void;
  destroy(reason: ResetReason): void;
  /** Settles when the transport is closed; never rejects. */
  readonly closed: Promise<void>;
}

export interface ClientConnectionEvents {
  /** `capacity` went up, or the last request ended. */
  available(connection: HttpClientConnection): void;
  /** Opens no more: GOAWAY, `connection: close`, an error, the end. Called once. */
  unusable(connection: HttpClientConnection): void;
}

/** What a request knows of the tunnel it came through; one object per HBONE stream. */
export interface DownstreamInfo {
  /** SPIFFE URI of the client's certificate; undefined without mutual TLS. */
  readonly peerPrincipal: string | undefined;
  readonly localPrincipal: string | undefined;
  /** The client pod's address as the tunnel's TCP connection shows it. */
  readonly source: { readonly ip: string; readonly port: number };
  /** What the CONNECT named: the service's virtual address or the pod's, and port. */
  readonly destination: { readonly ip: string; readonly port: number };
  /** The authority of the CONNECT as text: may be a hostname. */
  readonly connectAuthority: string;
  readonly connectHeaders: readonly (readonly [name: string, value: string])[];
  /** SNI that the TLS inspector saw inside the tunnel. */
  readonly requestedServerName: string | undefined;
  readonly connectionId: number;
  readonly startedWallMs: number;
}
