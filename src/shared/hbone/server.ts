/** Server side of HBONE: one session over an established TLS connection. */
import type { TLSSocket } from "node:tls";
import type { Clock } from "../base/clock.ts";
import { MeshError } from "../base/errors.ts";
import type { SecureChannel } from "../tls/channel.ts";
import { channelOf } from "../tls/stream-channel.ts";
import type { DecodedHeaders } from "./hpack/decoder.ts";
import { ConnectionError, errorCode, StreamError } from "./http2/errors.ts";
import { maxStreamId, pingBytes, putUint32, uint32At } from "./http2/frames.ts";
import { parseRequest, type RequestHead } from "./http2/requests.ts";
import { Connection } from "./session/connection.ts";
import type { Http2Tunnel } from "./session/http2-tunnel.ts";
import type { Role } from "./session/role.ts";
import type {
  HboneServerSession,
  HboneSettings,
  HeaderField,
  IncomingTunnel,
  TunnelStream,
} from "./tunnel.ts";

/** Speaks HTTP/2 on this socket from now on; `onTunnel` is called once for every well-formed request. */
export function serveHbone(
  tls: TLSSocket | SecureChannel,
  settings: HboneSettings,
  clock: Clock,
  onTunnel: (tunnel: IncomingTunnel) => void,
): HboneServerSession {
  const session = new ServerSession(channelOf(tls), settings, clock, onTunnel);
  session.start();
  return session;
}

/** Marks the PING whose answer ends the first half of a graceful GOAWAY. */
const drainMark = 0x64726169;

class ServerSession implements HboneServerSession, Role {
  readonly name = "server";
  readonly #connection: Connection;
  readonly #settings: HboneSettings;
  readonly #onTunnel: (tunnel: IncomingTunnel) => void;
  #lastId = 0;
  /** Requests that were reset before their handler had answered: the handler still works for them. */
  #abandoned = 0;
  /** "announced": the peer knows that we leave, but may have opened streams before it knew. */
  #draining: "no" | "announced" | "done" = "no";

  constructor(
    channel: SecureChannel,
    settings: HboneSettings,
    clock: Clock,
    onTunnel: (tunnel: IncomingTunnel) => void,
  ) {
    this.#settings = settings;
    this.#onTunnel = onTunnel;
    this.#connection = new Connection(channel, settings, clock, this);
  }

  start(): void {
    this.#connection.start();
  }

  get openStreams(): number {
    return this.#connection.tunnels.size;
  }

  get closed(): Promise<void> {
    return this.#connection.closed;
  }

  /** RFC 9113 section 6.8: first the highest id, so that no stream is lost that is on its way, then the real one. */
  drain(): void {
    if (this.#draining !== "no" || this.#connection.state !== "open") return;
    this.#draining = "announced";
    this.#connection.write.goAway(maxStreamId, errorCode.noError);
    const payload = new Uint8Array(pingBytes);
    putUint32(payload, 0, drainMark);
    this.#connection.write.ping(false, payload);
  }

  destroy(error: MeshError): void {
    this.#connection.fail(error);
  }

  // Role

  isIdle(streamId: number): boolean {
    // We open no streams ourselves.
    return streamId % 2 === 0 || streamId > this.#lastId;
  }

  headers(streamId: number, decoded: DecodedHeaders, endStream: boolean): void {
    if (this.#connection.tunnels.has(streamId))
      throw new StreamError(errorCode.protocolError, "HEADERS inside a tunnel");
    if (!this.#isNew(streamId)) return;
    this.#lastId = streamId;
    if (this.#draining === "done") return;
    if (this.openStreams + this.#abandoned >= this.#settings.maxStreams)
      throw new StreamError(errorCode.refusedStream, "too many streams");
    if (decoded.tooLarge) {
      this.#connection.write.headers(streamId, [[":status", "431"]], true);
      throw new StreamError(errorCode.noError, "request header list too large");
    }
    const head = parseRequest(decoded.fields);
    const tunnel = this.#connection.addTunnel(streamId);
    const request = new Request(this.#connection, tunnel, head, () => this.#abandoned--);
    tunnel.awaitAnswer(() => {
      this.#abandoned++;
      request.abandon();
    });
    if (endStream) tunnel.remoteEnd();
    this.#onTunnel(request);
  }

  ready(): void {
    // Requests may come before or after; nothing waits for the client's SETTINGS.
  }

  pong(bytes: Uint8Array, start: number): void {
    if (this.#draining !== "announced" || uint32At(bytes, start) !== drainMark) return;
    this.#draining = "done";
    this.#connection.write.goAway(this.#lastId, errorCode.noError);
    this.#connection.leave();
  }

  goAway(): void {
    // The client opens no more; its tunnels go on.
  }

  lastPeerStreamId(): number {
    return this.#lastId;
  }

  dead(): void {
    const error = new MeshError("h2-failed", "HTTP/2 session broke: PING timed out");
    this.#connection.goAwayAndClose(errorCode.noError, error);
  }

  ended(): void {
    this.#draining = "done";
  }

  /** False for a stream we reset; throws for any other that is not new (RFC 9113 section 5.1.1). */
  #isNew(streamId: number): boolean {
    if (streamId % 2 === 0)
      throw new ConnectionError(errorCode.protocolError, "even stream id from a client");
    if (streamId > this.#lastId) return true;
    const closed = this.#connection.closedStreams.get(streamId);
    if (closed === "reset-by-us") return false;
    const code = closed === "ended" ? errorCode.streamClosed : errorCode.protocolError;
    throw new ConnectionError(code, "HEADERS for a stream id that is not new");
  }
}

type RequestState = "waiting" | "abandoned" | "answered";

class Request implements IncomingTunnel {
  readonly method: string;
  readonly authority: string;
  readonly headers: readonly HeaderField[];
  readonly #connection: Connection;
  readonly #tunnel: Http2Tunnel;
  readonly #releaseAbandoned: () => void;
  #state: RequestState = "waiting";
  #gone: AbortController | undefined;

  constructor(
    connection: Connection,
    tunnel: Http2Tunnel,
    head: RequestHead,
    releaseAbandoned: () => void,
  ) {
    this.method = head.method;
    this.authority = head.authority;
    this.headers = head.headers;
    this.#connection = connection;
    this.#tunnel = tunnel;
    this.#releaseAbandoned = releaseAbandoned;
  }

  get gone(): AbortSignal {
    this.#gone ??= new AbortController();
    if (this.#state === "abandoned") this.#gone.abort(clientGone());
    return this.#gone.signal;
  }

  accept(headers: readonly HeaderField[]): TunnelStream {
    if (this.#answers())
      this.#connection.write.headers(this.#tunnel.id, [[":status", "200"], ...headers], false);
    return this.#tunnel;
  }

  refuse(status: number, headers: readonly HeaderField[] = []): void {
    if (!this.#answers()) return;
    const fields: HeaderField[] = [[":status", String(status)], ...headers];
    this.#connection.write.headers(this.#tunnel.id, fields, true);
    // RFC 9113 section 8.1: the answer is complete, the rest of the request is not wanted.
    this.#tunnel.refused();
  }

  /** The client reset the stream, or the session ended. */
  abandon(): void {
    this.#state = "abandoned";
    this.#gone?.abort(clientGone());
  }

  /** False when nobody waits for the answer any more. */
  #answers(): boolean {
    if (this.#state === "answered") throw new TypeError("Cannot answer a tunnel twice");
    const waiting = this.#state === "waiting";
    this.#state = "answered";
    this.#tunnel.answered();
    if (!waiting) this.#releaseAbandoned();
    return waiting;
  }
}

function clientGone(): MeshError {
  return new MeshError("h2-failed", "The client has gone before the answer");
}
