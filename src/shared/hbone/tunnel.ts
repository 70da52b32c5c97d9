/**
 * HBONE as the rest of the program sees it: tunnels (HTTP/2 CONNECT streams) inside mutually authenticated sessions, and
 * flows that join a tunnel or socket with another socket. How bytes move is the business of this folder alone.
 */
import type { Socket } from "node:net";
import type { MeshError } from "../base/errors.ts";
import type { TcpConnection } from "../os/tcp-connection.ts";

/** Lower-case name and value, in wire order. Pseudo headers are not among them. */
export type HeaderField = readonly [name: string, value: string];

export interface TunnelRequest {
  /** `:authority`, as text. */
  readonly authority: string;
  readonly headers: readonly HeaderField[];
}

/** A tunnel whose CONNECT was answered with 200: bytes both ways, half-close, reset. */
export interface TunnelStream {
  readonly kind: "tunnel";
  /** RST_STREAM with the given RFC 9113 error code and forget. Idempotent. */
  reset(http2ErrorCode: number): void;
}

export type TunnelAnswer =
  | {
      readonly kind: "open";
      readonly headers: readonly HeaderField[];
      readonly stream: TunnelStream;
    }
  | { readonly kind: "refused"; readonly status: number; readonly headers: readonly HeaderField[] };

/** Client side of a session. */
export interface HboneClientSession {
  /** False after GOAWAY, a failed PING or an error: open no more tunnels here. */
  readonly usable: boolean;
  readonly openStreams: number;
  /**
   * Stalled readers have used up the session's window in either direction, and every tunnel on it waits for them. Open new
   * ones elsewhere.
   */
  readonly congested: boolean;
  /** min(our limit, the peer's SETTINGS_MAX_CONCURRENT_STREAMS). */
  readonly maxStreams: number;
  /** Rejects with MeshError `h2-failed` when the session breaks first, or with the signal's reason. */
  connect(request: TunnelRequest, signal: AbortSignal): Promise<TunnelAnswer>;
  /** Settles when the session has ended and its socket is closed. Never rejects. */
  readonly closed: Promise<void>;
  /** Sends GOAWAY and closes when the last tunnel has ended. */
  drain(): void;
  /** Cuts all tunnels with this error. */
  destroy(error: MeshError): void;
}

/** A CONNECT that waits for its answer. Exactly one of accept and refuse must be called. */
export interface IncomingTunnel {
  readonly method: string;
  readonly authority: string;
  readonly headers: readonly HeaderField[];
  /** Answers 200. When the client has gone meanwhile, the stream is one that is already reset. */
  accept(headers: readonly HeaderField[]): TunnelStream;
  /** Answers with this status and END_STREAM. */
  refuse(status: number, headers?: readonly HeaderField[]): void;
  /** Aborts when the client resets the stream or the session ends before the answer. Made on first use. */
  readonly gone: AbortSignal;
}

/** Server side of a session. */
export interface HboneServerSession {
  readonly openStreams: number;
  readonly closed: Promise<void>;
  /** GOAWAY NO_ERROR; open tunnels go on, new ones are refused; closes after the last. */
  drain(): void;
  destroy(error: MeshError): void;
}

export interface HboneSettings {
  /** Receive window of a stream in bytes. */
  readonly streamWindowBytes: number;
  /** Receive window of a session in bytes. */
  readonly connectionWindowBytes: number;
  /** Largest frame we accept, in bytes. */
  readonly maxFrameBytes: number;
  /** Tunnels that one session may carry at once. */
  readonly maxStreams: number;
  /** Largest decoded header list, in bytes as RFC 9113 section 6.5.2 counts them. */
  readonly maxHeaderListBytes: number;
  /** Interval and deadline of liveness PINGs. */
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
}

/** The reference's values (wire/ztunnel.md section 4.6); maxStreams is the pool's limit on the client, what we announce on the server. */
export function defaultHboneSettings(role: "client" | "server"): HboneSettings {
  return {
    streamWindowBytes: 4 * 1024 * 1024,
    connectionWindowBytes: 16 * 1024 * 1024,
    maxFrameBytes: 1024 * 1024,
    maxStreams: role === "client" ? 100 : 200,
    maxHeaderListBytes: role === "client" ? 16 * 1024 : 64 * 1024,
    pingIntervalMs: 10_000,
    pingTimeoutMs: 20_000,
  };
}

/** How a flow ended. A clean end has no error. */
export interface FlowEnd {
  readonly error?: MeshError;
}

/**
 * Two ends joined in both directions until both have finished or one broke. `sent` counts bytes from the first end to the
 * second, `received` the other way; both can be read at any time.
 */
export interface Flow {
  readonly sent: number;
  readonly received: number;
  /** Settles once, never rejects; by then both ends are closed. */
  readonly done: Promise<FlowEnd>;
  /** Cuts both ends. */
  abort(error: MeshError): void;
}

/** What a flow can join. A socket must not have been read from, or only through `unshift`. */
export type FlowEndpoint = TcpConnection | StreamEndpoint;
/** Those of them that TLS can be put over. */
export type StreamEndpoint = Socket | TunnelStream;
