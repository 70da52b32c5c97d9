/** An HTTP/2 connection from a client: requests in, many at once, each a stream of its own. */
import type { Clock, Timer } from "../../../shared/base/clock.ts";
import type { DecodedFields } from "../../../shared/hbone/hpack/decoder.ts";
import { ConnectionError, errorCode, StreamError } from "../../../shared/hbone/http2/errors.ts";
import { maxStreamId, pingBytes, putUint32, uint32At } from "../../../shared/hbone/http2/frames.ts";
import { Fields, type ResponseFlag } from "../message.ts";
import type {
  AcceptRequest,
  DownstreamInfo,
  HttpServerConnection,
  ReportRefused,
  ResetReason,
} from "../stream.ts";
import type { Transport } from "../transport.ts";
import { Http2Connection } from "./connection.ts";
import { lost } from "./failures.ts";
import { type ParsedRequest, parseRequest, parseTrailers } from "./heads.ts";
import type { ConnectionRole } from "./role.ts";
import { Http2ServerStream } from "./server-stream.ts";
import type { Http2Settings } from "./settings.ts";
import type { Http2Stream } from "./stream.ts";

export interface Http2ServerOwner {
  readonly accept: AcceptRequest;
  readonly refused: ReportRefused;
  readonly connection: DownstreamInfo;
  readonly clock: Clock;
}

/** Marks the PING whose answer ends the first half of a graceful GOAWAY. */
const drainMark = 0x64726169;

/** "announced": the peer knows that we leave, but may have opened streams before it knew. */
type Draining = "no" | "announced" | "done";

export class Http2Server implements HttpServerConnection, ConnectionRole {
  readonly name = "server";
  readonly #owner: Http2ServerOwner;
  readonly #connection: Http2Connection;
  #lastId = 0;
  #draining: Draining = "no";
  #idle: Timer | undefined;
  #age: Timer | undefined;

  constructor(transport: Transport, settings: Http2Settings, owner: Http2ServerOwner) {
    this.#owner = owner;
    this.#connection = new Http2Connection(transport, settings, owner.clock, this);
  }

  /** Reads from here on. */
  start(): void {
    const { maxConnectionDurationMs } = this.#connection.limits;
    if (maxConnectionDurationMs > 0)
      this.#age = this.#owner.clock.after(maxConnectionDurationMs, () => this.drain());
    this.#watchIdle();
    this.#connection.start();
  }

  get activeRequests(): number {
    return this.#connection.streams.size;
  }

  get closed(): Promise<void> {
    return this.#connection.done;
  }

  /** RFC 9113 section 6.8: first the highest id, so that no stream is lost that is on its way, then the real one. */
  drain(): void {
    if (this.#draining !== "no" || !this.#connection.isOpen) return;
    this.#draining = "announced";
    this.#connection.write.goAway(maxStreamId, errorCode.noError);
    const payload = new Uint8Array(pingBytes);
    putUint32(payload, 0, drainMark);
    this.#connection.write.ping(false, payload);
  }

  destroy(reason: ResetReason): void {
    this.#connection.destroy(reason);
  }

  // ConnectionRole

  isIdle(streamId: number): boolean {
    // We open no streams ourselves.
    return streamId % 2 === 0 || streamId > this.#lastId;
  }

  headers(streamId: number, decoded: DecodedFields, endStream: boolean, wireBytes: number): void {
    const existing = this.#connection.streams.get(streamId);
    if (existing !== undefined) {
      existing.wireBytesReceived += wireBytes;
      this.#trailers(existing, decoded, endStream);
      return;
    }
    if (!this.#isNew(streamId)) return;
    this.#lastId = streamId;
    if (this.#draining === "done") return;
    const { limits } = this.#connection;
    if (this.activeRequests >= limits.maxConcurrentStreams)
      throw new StreamError(errorCode.refusedStream, "too many streams");
    if (decoded.tooLarge) {
      this.#tooLarge(streamId, "http2.headers_too_large", wireBytes);
      return;
    }
    const request = parseRequest(decoded.flat, limits);
    if (request.tooMany) this.#tooLarge(streamId, "http2.too_many_headers", wireBytes);
    else this.#open(streamId, request, endStream, wireBytes);
  }

  settingsChanged(): void {
    // Requests may come before or after; nothing waits for the client's SETTINGS.
  }

  pong(bytes: Uint8Array, start: number): void {
    if (this.#draining !== "announced" || uint32At(bytes, start) !== drainMark) return;
    this.#draining = "done";
    this.#connection.write.goAway(this.#lastId, errorCode.noError);
    this.#connection.leave();
  }

  goAway(): void {
    // The client opens no more; its streams go on.
  }

  resetReason(_stream: Http2Stream, code: number): ResetReason {
    return { kind: "remote-reset", http2ErrorCode: code };
  }

  lostReason(_stream: Http2Stream, reason: ResetReason): ResetReason {
    return reason;
  }

  /** A request that never came to be is nobody's but ours to report. */
  mistake(stream: Http2Stream | undefined, problem: StreamError): void {
    if (stream !== undefined || problem.code === errorCode.refusedStream) return;
    if (problem.code === errorCode.streamClosed) return;
    this.#report("http2.violation.of.messaging.rule", 0, 0, 0);
  }

  lastPeerStreamId(): number {
    return this.#lastId;
  }

  streamGone(): void {
    if (this.activeRequests === 0) this.#watchIdle();
  }

  leaving(): void {
    if (!this.#connection.isOver) return;
    this.#draining = "done";
    this.#idle?.cancel();
    this.#age?.cancel();
  }

  #open(streamId: number, request: ParsedRequest, endStream: boolean, wireBytes: number): void {
    const { limits, peer } = this.#connection;
    if (endStream && request.contentLength > 0)
      throw new StreamError(errorCode.protocolError, "content-length without DATA");
    this.#idle?.cancel();
    const stream = new Http2ServerStream(
      this.#connection,
      streamId,
      peer.initialWindowBytes,
      limits.streamWindowBytes,
      this.#owner.connection,
      request,
    );
    stream.wireBytesReceived = wireBytes;
    this.#connection.add(stream);
    stream.begin(this.#owner.accept, endStream);
  }

  /** A second header block is trailers, or nothing at all. */
  #trailers(stream: Http2Stream, decoded: DecodedFields, endStream: boolean): void {
    if (stream.remoteEnded)
      throw new StreamError(errorCode.streamClosed, "HEADERS after the end of the stream");
    if (!endStream) throw new StreamError(errorCode.protocolError, "trailers without an end");
    if (decoded.tooLarge) throw new StreamError(errorCode.enhanceYourCalm, "trailers too large");
    stream.peerEnded(parseTrailers(decoded.flat, this.#connection.limits));
  }

  /** 431 on a stream that is then closed: the rest of the request is not wanted. */
  #tooLarge(streamId: number, details: string, wireBytes: number): void {
    const { write, closedStreams } = this.#connection;
    const fields = new Fields(["content-length", "0"]);
    write.encoder.begin();
    write.encoder.field(":status", "431");
    for (let at = 0; at < fields.flat.length; at += 2)
      write.encoder.field(fields.flat[at] ?? "", fields.flat[at + 1] ?? "");
    const block = write.encoder.end();
    write.block(streamId, block, true);
    write.resetStream(streamId, errorCode.noError);
    closedStreams.add(streamId, "reset-by-us");
    this.#connection.guard.count("early reset");
    this.#report(details, 431, wireBytes, block.length);
  }

  #report(details: string, status: number, received: number, sent: number): void {
    const flags: readonly ResponseFlag[] = status === 0 ? ["DPE"] : [];
    const bytes = { wireBytesReceived: received, wireBytesSent: sent };
    this.#owner.refused(
      { protocol: "HTTP/2", flags, status, details, ...bytes },
      this.#owner.connection,
    );
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

  #watchIdle(): void {
    const { connectionIdleTimeoutMs } = this.#connection.limits;
    if (connectionIdleTimeoutMs <= 0 || this.#connection.isOver) return;
    this.#idle?.cancel();
    this.#idle = this.#owner.clock.after(connectionIdleTimeoutMs, () => {
      if (this.activeRequests === 0) this.#connection.close(errorCode.noError, lost("idle"));
    });
  }
}
