/** An HTTP/2 connection to an upstream: many requests at once, as many as the peer and our own settings allow. */
import type { Clock } from "../../../shared/base/clock.ts";
import type { DecodedFields } from "../../../shared/hbone/hpack/decoder.ts";
import { ConnectionError, errorCode, StreamError } from "../../../shared/hbone/http2/errors.ts";
import { maxStreamId } from "../../../shared/hbone/http2/frames.ts";
import type { RequestHead } from "../message.ts";
import type {
  BodyWriter,
  ClientConnectionEvents,
  HttpClientConnection,
  ResetReason,
  ResponseReceiver,
} from "../stream.ts";
import type { Transport } from "../transport.ts";
import { Http2ClientStream } from "./client-stream.ts";
import { Http2Connection } from "./connection.ts";
import { sendRequest } from "./head-writer.ts";
import { parseResponse, parseTrailers } from "./heads.ts";
import type { ConnectionRole } from "./role.ts";
import type { Http2Settings } from "./settings.ts";
import type { Http2Stream } from "./stream.ts";

/** What may be opened before the peer has said what it takes: no server announces less without reason (RFC 9113 section 6.5.2). */
const firstStreams = 100;

export class Http2Client implements HttpClientConnection, ConnectionRole {
  readonly name = "client";
  readonly protocol = "HTTP/2";
  readonly #connection: Http2Connection;
  readonly #events: ClientConnectionEvents;
  #nextId = 1;
  #served = 0;
  #settingsSeen = false;
  #draining = false;
  #unusable = false;
  /** What `capacity` was when the owner last looked at it or was told. */
  #wasFull = false;

  constructor(
    transport: Transport,
    settings: Http2Settings,
    clock: Clock,
    events: ClientConnectionEvents,
  ) {
    this.#events = events;
    this.#connection = new Http2Connection(transport, settings, clock, this);
  }

  /** Reads from here on; requests can be opened at once. */
  start(): void {
    this.#connection.start();
  }

  get capacity(): number {
    if (this.#unusable || this.#draining || !this.#connection.isOpen) return 0;
    if (this.#nextId > maxStreamId) return 0;
    const peers = this.#settingsSeen ? this.#connection.peer.maxConcurrentStreams : firstStreams;
    const most = Math.min(this.#connection.limits.maxConcurrentStreams, peers);
    return Math.max(0, most - this.activeRequests);
  }

  get activeRequests(): number {
    return this.#connection.streams.size;
  }

  get servedRequests(): number {
    return this.#served;
  }

  get closed(): Promise<void> {
    return this.#connection.done;
  }

  open(head: RequestHead, endStream: boolean, receiver: ResponseReceiver): BodyWriter {
    if (this.capacity === 0) throw new TypeError("Cannot open a request: the connection is full");
    const { limits, peer, write } = this.#connection;
    const id = this.#nextId;
    this.#nextId += 2;
    const windows = [peer.initialWindowBytes, limits.streamWindowBytes] as const;
    const stream = new Http2ClientStream(this.#connection, id, ...windows, head, receiver);
    stream.reused = this.#served > 0;
    this.#served++;
    this.#connection.add(stream);
    sendRequest(write, stream, head, endStream);
    if (endStream) stream.requestSent();
    this.#wasFull = this.capacity === 0;
    if (stream.isUpgrade && this.#settingsSeen && !peer.connectProtocol) stream.cannotUpgrade();
    if (this.#nextId > maxStreamId) this.drain();
    return stream;
  }

  drain(): void {
    if (this.#draining || this.#connection.isOver) return;
    this.#draining = true;
    this.#connection.leave();
  }

  destroy(reason: ResetReason): void {
    this.#connection.destroy(reason);
  }

  // ConnectionRole

  isIdle(streamId: number): boolean {
    // Servers open no streams: we forbid push.
    return streamId % 2 === 0 || streamId >= this.#nextId;
  }

  headers(streamId: number, decoded: DecodedFields, endStream: boolean, wireBytes: number): void {
    const stream = this.#connection.streams.get(streamId);
    if (!(stream instanceof Http2ClientStream)) {
      if (this.isIdle(streamId))
        throw new ConnectionError(errorCode.protocolError, "HEADERS on an idle stream");
      if (this.#connection.closedStreams.get(streamId) === "reset-by-us") return;
      throw new StreamError(errorCode.streamClosed, "HEADERS on a closed stream");
    }
    stream.wireBytesReceived += wireBytes;
    if (stream.remoteEnded)
      throw new StreamError(errorCode.streamClosed, "HEADERS after the end of the stream");
    if (decoded.tooLarge) throw new StreamError(errorCode.enhanceYourCalm, "header list too large");
    const { limits } = this.#connection;
    if (!stream.hasHead) {
      stream.answered(parseResponse(decoded.flat, limits), endStream);
      return;
    }
    if (!endStream) throw new StreamError(errorCode.protocolError, "trailers without an end");
    stream.peerEnded(parseTrailers(decoded.flat, limits));
  }

  settingsChanged(): void {
    this.#settingsSeen = true;
    this.#tellIfAvailable(false);
  }

  pong(): void {
    // Only servers send PINGs of their own, to drain.
  }

  /** What lies above was not looked at and can be sent again elsewhere. */
  goAway(lastStreamId: number): void {
    for (const stream of [...this.#connection.streams.values()])
      if (stream.id > lastStreamId) this.#connection.refuse(stream);
  }

  resetReason(_stream: Http2Stream, code: number): ResetReason {
    if (code === errorCode.refusedStream) return { kind: "refused" };
    return { kind: "remote-reset", http2ErrorCode: code };
  }

  lostReason(stream: Http2Stream, reason: ResetReason): ResetReason {
    if (reason.kind !== "connection-lost") return reason;
    const reused = stream instanceof Http2ClientStream && stream.reused;
    return { kind: "connection-lost", detail: reason.detail, reused };
  }

  mistake(): void {
    // The request's receiver hears of it.
  }

  lastPeerStreamId(): number {
    return 0;
  }

  streamGone(): void {
    this.#tellIfAvailable(this.activeRequests === 0);
  }

  leaving(): void {
    if (this.#unusable) return;
    this.#unusable = true;
    this.#events.unusable(this);
  }

  #tellIfAvailable(isIdle: boolean): void {
    const isFull = this.capacity === 0;
    if ((!this.#wasFull && !isIdle) || this.#unusable || isFull) return;
    this.#wasFull = false;
    this.#events.available(this);
  }
}
