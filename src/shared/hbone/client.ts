/** Client side of HBONE: one session over an established TLS connection. */
import type { TLSSocket } from "node:tls";
import type { Clock } from "../base/clock.ts";
import { MeshError } from "../base/errors.ts";
import type { SecureChannel } from "../tls/channel.ts";
import { channelOf } from "../tls/stream-channel.ts";
import type { PortClose } from "./flow/port.ts";
import type { DecodedHeaders } from "./hpack/decoder.ts";
import { ConnectionError, errorCode, errorCodeName, StreamError } from "./http2/errors.ts";
import { maxStreamId } from "./http2/frames.ts";
import { parseResponse, type ResponseHead } from "./http2/requests.ts";
import { Connection } from "./session/connection.ts";
import type { Http2Tunnel } from "./session/http2-tunnel.ts";
import type { Role } from "./session/role.ts";
import { StreamTable } from "./session/stream-table.ts";
import type {
  HboneClientSession,
  HboneSettings,
  HeaderField,
  TunnelAnswer,
  TunnelRequest,
} from "./tunnel.ts";

/**
 * Resolves after the peer's SETTINGS; rejects with MeshError `h2-handshake-failed`, or with the signal's reason. The
 * socket belongs to the session from here on.
 */
export function openHboneClient(
  tls: TLSSocket | SecureChannel,
  settings: HboneSettings,
  clock: Clock,
  signal?: AbortSignal,
): Promise<HboneClientSession> {
  return new Promise((resolve, reject) => {
    const session = new ClientSession(channelOf(tls), settings, clock, (failure) => {
      signal?.removeEventListener("abort", onAbort);
      if (failure === undefined) resolve(session);
      else if (signal?.aborted) reject(signal.reason);
      else reject(handshakeFailed(failure));
    });
    const onAbort = (): void => session.destroy(new MeshError("h2-failed", "aborted"));
    signal?.addEventListener("abort", onAbort, { once: true });
    session.start();
    if (signal?.aborted) onAbort();
  });
}

function handshakeFailed(cause: MeshError): MeshError {
  return new MeshError("h2-handshake-failed", `Cannot open HTTP/2 session: ${cause.message}`, {
    cause,
  });
}

/** The peer has not acted on the request, so it can be sent again on another session. */
export class UnprocessedError extends MeshError {}

/** The whole session broke before the answer. Whether the peer acted on the request is not known. */
export class SessionLostError extends MeshError {}

interface Waiter {
  readonly tunnel: Http2Tunnel;
  answered(head: ResponseHead, endStream: boolean): void;
  failed(error: unknown): void;
}

class ClientSession implements HboneClientSession, Role {
  readonly name = "client";
  readonly #connection: Connection;
  readonly #settings: HboneSettings;
  readonly #waiters = new StreamTable<Waiter>();
  #opened: ((failure: MeshError | undefined) => void) | undefined;
  #nextId = 1;

  constructor(
    channel: SecureChannel,
    settings: HboneSettings,
    clock: Clock,
    opened: (failure: MeshError | undefined) => void,
  ) {
    this.#settings = settings;
    this.#opened = opened;
    this.#connection = new Connection(channel, settings, clock, this);
  }

  start(): void {
    this.#connection.start();
  }

  get usable(): boolean {
    return this.#connection.state === "open" && this.#nextId <= maxStreamId;
  }

  get openStreams(): number {
    return this.#connection.tunnels.size;
  }

  get congested(): boolean {
    return this.#connection.congested;
  }

  get maxStreams(): number {
    return Math.min(this.#settings.maxStreams, this.#connection.peer.maxConcurrentStreams);
  }

  get closed(): Promise<void> {
    return this.#connection.closed;
  }

  connect(request: TunnelRequest, signal: AbortSignal): Promise<TunnelAnswer> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      if (!this.usable || this.openStreams >= this.maxStreams)
        throw new UnprocessedError("h2-failed", "Cannot open tunnel: session takes no more");
      const streamId = this.#nextId;
      this.#nextId += 2;
      const tunnel = this.#connection.addTunnel(streamId);
      const onAbort = (): void => {
        waiter.failed(signal.reason);
        tunnel.reset(errorCode.cancel);
      };
      const settled = (): boolean => {
        if (!this.#waiters.delete(streamId)) return false;
        tunnel.answered();
        signal.removeEventListener("abort", onAbort);
        return true;
      };
      const waiter: Waiter = {
        tunnel,
        answered: (head, endStream) => {
          if (settled()) resolve(answerOf(tunnel, head, endStream));
        },
        failed: (error) => {
          if (settled()) reject(error);
        },
      };
      this.#waiters.set(streamId, waiter);
      tunnel.awaitAnswer((close) => waiter.failed(this.#earlyError(close)));
      signal.addEventListener("abort", onAbort, { once: true });
      this.#connection.write.headers(streamId, requestFields(request), false);
    });
  }

  drain(): void {
    if (this.#connection.state !== "open") return;
    this.#connection.write.goAway(0, errorCode.noError);
    this.#connection.leave();
  }

  destroy(error: MeshError): void {
    this.#connection.fail(error);
  }

  // Role

  isIdle(streamId: number): boolean {
    // Servers open no streams: we forbid push.
    return streamId % 2 === 0 || streamId >= this.#nextId;
  }

  headers(streamId: number, decoded: DecodedHeaders, endStream: boolean): void {
    const tunnel = this.#connection.tunnels.get(streamId);
    if (tunnel === undefined) {
      if (this.isIdle(streamId))
        throw new ConnectionError(errorCode.protocolError, "HEADERS on an idle stream");
      if (this.#connection.closedStreams.get(streamId) === "reset-by-us") return;
      throw new StreamError(errorCode.streamClosed, "HEADERS on a closed stream");
    }
    const waiter = this.#waiters.get(streamId);
    // RFC 9113 section 8.5: nothing but DATA on a connected stream.
    if (waiter === undefined)
      throw new StreamError(errorCode.protocolError, "HEADERS inside a tunnel");
    if (decoded.tooLarge)
      throw new StreamError(errorCode.enhanceYourCalm, "response header list too large");
    const head = parseResponse(decoded.fields);
    if (head.status >= 200) waiter.answered(head, endStream);
    else if (endStream) throw new StreamError(errorCode.protocolError, "only a 1xx response");
  }

  ready(): void {
    this.#settleOpen(undefined);
  }

  pong(): void {
    // Only servers send PINGs of their own, to drain.
  }

  goAway(lastStreamId: number, code: number): void {
    for (const tunnel of this.#connection.tunnels.values()) {
      if (tunnel.id <= lastStreamId) continue;
      const why = `Cannot open tunnel: the peer went away (${errorCodeName(code)})`;
      const error = new UnprocessedError("h2-failed", why);
      this.#waiters.get(tunnel.id)?.failed(error);
      tunnel.reset(errorCode.cancel);
    }
  }

  lastPeerStreamId(): number {
    return 0;
  }

  dead(): void {
    this.#connection.fail(new MeshError("h2-failed", "HTTP/2 session broke: PING timed out"));
  }

  ended(error: MeshError): void {
    this.#settleOpen(error);
  }

  #earlyError(close: PortClose): MeshError {
    const { state } = this.#connection;
    if (close.kind !== "failed" || state === "open" || state === "leaving")
      return earlyError(close);
    const { code, message } = close.error;
    return new SessionLostError(code, message, { cause: close.error.cause });
  }

  #settleOpen(failure: MeshError | undefined): void {
    const opened = this.#opened;
    this.#opened = undefined;
    opened?.(failure);
  }
}

function requestFields(request: TunnelRequest): readonly HeaderField[] {
  return [[":method", "CONNECT"], [":authority", request.authority], ...request.headers];
}

function answerOf(tunnel: Http2Tunnel, head: ResponseHead, endStream: boolean): TunnelAnswer {
  if (head.status === 200) {
    tunnel.opened();
    if (endStream) tunnel.remoteEnd();
    return { kind: "open", headers: head.headers, stream: tunnel };
  }
  if (endStream) {
    // An ordinary end: servers count resets.
    tunnel.remoteEnd();
    tunnel.finish();
  } else {
    tunnel.reset(errorCode.cancel);
  }
  return { kind: "refused", status: head.status, headers: head.headers };
}

function earlyError(close: PortClose): MeshError {
  if (close.kind === "failed") return close.error;
  const code = close.kind === "reset" ? close.http2ErrorCode : undefined;
  const name = code === undefined ? "end of the stream" : errorCodeName(code);
  const message = `Cannot open tunnel: the peer answered with ${name}`;
  // RFC 9113 section 8.7: a refused stream was not processed.
  return code === errorCode.refusedStream
    ? new UnprocessedError("h2-failed", message)
    : new MeshError("h2-failed", message);
}
