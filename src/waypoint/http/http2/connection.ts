/**
 * One HTTP/2 connection that carries requests, for either role: frames in, windows, PING, GOAWAY, and the end. What a header
 * block means is the role's (server.ts, client.ts). A mistake of the peer ends the connection with GOAWAY or one stream with
 * RST_STREAM, as RFC 9113 says for each.
 */
import type { Clock } from "../../../shared/base/clock.ts";
import { HpackDecoder } from "../../../shared/hbone/hpack/decoder.ts";
import { HpackEncoder } from "../../../shared/hbone/hpack/encoder.ts";
import {
  ConnectionError,
  errorCode,
  errorCodeName,
  StreamError,
} from "../../../shared/hbone/http2/errors.ts";
import { FloodGuard } from "../../../shared/hbone/http2/flood.ts";
import { FrameReader, type FrameSink } from "../../../shared/hbone/http2/frame-reader.ts";
import { frameHeaderBytes, pingBytes } from "../../../shared/hbone/http2/frames.ts";
import { ClosedStreams } from "../../../shared/hbone/session/closed-streams.ts";
import { FrameWriter } from "../../../shared/hbone/session/frame-writer.ts";
import { Liveness, type LivenessEvents } from "../../../shared/hbone/session/liveness.ts";
import { initialPeerSettings, readSettings } from "../../../shared/hbone/session/peer-settings.ts";
import { ReceiveCredit } from "../../../shared/hbone/session/receive-credit.ts";
import type { Fields } from "../message.ts";
import type { ResetReason } from "../stream.ts";
import type { Transport, TransportClose, TransportReader } from "../transport.ts";
import { idle, lost } from "./failures.ts";
import { FrameOutbox, type FrameOutboxOwner } from "./frame-outbox.ts";
import { HeadDeadline } from "./head-deadline.ts";
import { sendFields } from "./head-writer.ts";
import { messageIndexing } from "./indexing.ts";
import type { ConnectionRole } from "./role.ts";
import { Scheduler } from "./scheduler.ts";
import { announced, type Http2Settings } from "./settings.ts";
import type { Http2Stream, StreamHost } from "./stream.ts";

/** "leaving": no new streams, the others go on. "closing": the last octets are on their way. */
type State = "new" | "open" | "leaving" | "closing" | "closed";

export class Http2Connection
  implements FrameSink, TransportReader, StreamHost, FrameOutboxOwner, LivenessEvents
{
  readonly streams = new Map<number, Http2Stream>();
  readonly closedStreams = new ClosedStreams();
  readonly peer = initialPeerSettings();
  readonly guard: FloodGuard;
  readonly write: FrameWriter;
  readonly scheduler: Scheduler;
  readonly limits: Http2Settings;
  /** Settles when the transport is closed. */
  readonly done: Promise<void>;

  readonly #transport: Transport;
  readonly #role: ConnectionRole;
  readonly #outbox: FrameOutbox;
  readonly #reader: FrameReader;
  readonly #decoder: HpackDecoder;
  readonly #credit: ReceiveCredit;
  readonly #liveness: Liveness | undefined;
  readonly #headDeadline: HeadDeadline | undefined;
  #state: State = "new";
  #settleDone: (() => void) | undefined;
  /**
   * The stream of the DATA frame under way; undefined while its payload is dropped. One that ends within the frame stays
   * here: it drops the rest itself, and gives the connection its credit.
   */
  #dataStream: Http2Stream | undefined;
  #dataIsEmpty = false;

  constructor(transport: Transport, limits: Http2Settings, clock: Clock, role: ConnectionRole) {
    this.#transport = transport;
    this.limits = limits;
    this.#role = role;
    this.guard = new FloodGuard(clock);
    this.#outbox = new FrameOutbox(transport, this);
    this.scheduler = new Scheduler(this.#outbox);
    this.write = new FrameWriter(this.#outbox, this.peer, new HpackEncoder(messageIndexing));
    this.#credit = new ReceiveCredit(limits, this.write);
    this.#decoder = new HpackDecoder(limits.maxHeadBytes);
    this.#reader = new FrameReader(this, {
      maxFrameBytes: limits.maxFrameBytes,
      maxBlockBytes: limits.maxHeadBytes * 2,
      preface: role.name === "server",
    });
    if (limits.pingIntervalMs > 0) this.#liveness = new Liveness(clock, limits, this.write, this);
    if (limits.requestHeadersTimeoutMs > 0)
      this.#headDeadline = new HeadDeadline(clock, limits.requestHeadersTimeoutMs, () =>
        this.close(errorCode.enhanceYourCalm, lost("a head came too slowly")),
      );
    this.done = new Promise((resolve) => {
      this.#settleDone = resolve;
    });
  }

  /** Sends our side's first frames and starts to read. */
  start(): void {
    this.#state = "open";
    const { name } = this.#role;
    this.write.begin(name, announced(this.limits, name), this.limits.connectionWindowBytes);
    this.#transport.start(this);
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  get isOver(): boolean {
    return this.#state === "closing" || this.#state === "closed";
  }

  add(stream: Http2Stream): void {
    this.streams.set(stream.id, stream);
  }

  /** No new streams from here on; closes after the last. */
  leave(): void {
    if (this.#state === "open") this.#state = "leaving";
    this.#role.leaving();
    this.#closeIfIdle();
  }

  /** GOAWAY with this code, then the end of the transport. */
  close(code: number, reason: ResetReason): void {
    if (this.isOver) return;
    this.write.goAway(this.#role.lastPeerStreamId(), code);
    this.#shut(reason);
  }

  /** The peer has not looked at this one: GOAWAY stands before it. */
  refuse(stream: Http2Stream): void {
    this.#forget(stream, "ended");
    stream.fail({ kind: "refused" });
  }

  /** Cuts everything now. */
  destroy(reason: ResetReason): void {
    if (this.#state === "closed" || this.#state === "new") return;
    this.#state = "closing";
    this.#outbox.close();
    this.#endStreams(reason);
    this.#transport.reset();
  }

  // TransportReader

  received(bytes: Buffer, start: number, end: number): boolean {
    if (this.isOver) return true;
    try {
      this.#reader.feed(bytes, start, end);
    } catch (thrown) {
      if (!(thrown instanceof ConnectionError)) throw thrown;
      const detail = `${errorCodeName(thrown.code)}: ${thrown.message}`;
      this.close(thrown.code, { kind: "protocol-error", detail });
    }
    this.#headDeadline?.watch(this.#reader.awaitsHead && !this.isOver);
    // What one peer can make us hold is bounded by windows, not by pauses.
    return true;
  }

  /** HTTP/2 has no half-closed connections: who ends one direction has gone. */
  ended(): void {
    this.close(errorCode.noError, lost("closed by the peer"));
  }

  writable(): void {
    if (!this.isOver) this.scheduler.writable();
  }

  closed(close: TransportClose): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#outbox.close();
    this.#endStreams(lost(close.kind === "failed" ? close.error.message : "connection closed"));
    this.#settleDone?.();
  }

  // FrameOutboxOwner

  outboxOverflowed(): void {
    const detail = "ENHANCE_YOUR_CALM: the peer does not read our answers";
    this.destroy({ kind: "protocol-error", detail });
  }

  // LivenessEvents

  alive(): void {
    // Nothing rests in memory between reads.
  }

  dead(): void {
    this.close(errorCode.noError, lost("PING timed out"));
  }

  // FrameSink

  data(streamId: number, flowBytes: number, payloadBytes: number): void {
    this.#credit.receivedBySession(flowBytes);
    this.#dataIsEmpty = payloadBytes === 0;
    this.#dataStream = this.#receiver(streamId, flowBytes, payloadBytes);
    // Padding, and the payload of a stream that is gone, are consumed at once.
    const dropped = this.#dataStream === undefined ? flowBytes : flowBytes - payloadBytes;
    if (dropped > 0) this.#credit.give(this.#dataStream, dropped);
  }

  payload(bytes: Buffer, start: number, end: number): void {
    this.#dataStream?.receive(bytes, start, end);
  }

  dataEnd(streamId: number, endStream: boolean): void {
    const stream = this.#dataStream;
    this.#dataStream = undefined;
    if (!endStream && this.#dataIsEmpty) this.guard.count("empty DATA");
    if (!endStream || stream === undefined || stream.over) return;
    try {
      stream.peerEnded(undefined);
    } catch (thrown) {
      this.#mistake(streamId, thrown);
    }
  }

  headers(
    streamId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    endStream: boolean,
  ): void {
    // Decoded whatever becomes of it, or the table would be out of step.
    const decoded = this.#decoder.decodeFlat(bytes, start, end);
    try {
      this.#role.headers(streamId, decoded, endStream, end - start + frameHeaderBytes);
    } catch (thrown) {
      this.#mistake(streamId, thrown);
    }
  }

  peerReset(streamId: number, code: number): void {
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (this.#role.isIdle(streamId)) throw idle("RST_STREAM");
      return;
    }
    if (!stream.localEnded) this.guard.count("early reset");
    this.#forget(stream, "ended");
    stream.fail(this.#role.resetReason(stream, code));
    this.#gone();
  }

  settings(bytes: Uint8Array, start: number, end: number): void {
    this.guard.count("settings");
    const { initialWindowBytes, headerTableBytes } = this.peer;
    readSettings(this.peer, bytes, start, end);
    this.scheduler.maxFrameBytes = this.peer.maxFrameBytes;
    if (this.peer.headerTableBytes !== headerTableBytes)
      this.write.setHeaderTable(this.peer.headerTableBytes);
    this.write.settingsAck();
    const difference = this.peer.initialWindowBytes - initialWindowBytes;
    if (difference !== 0) this.scheduler.initialWindowChanged(this.streams.values(), difference);
    this.#role.settingsChanged();
  }

  settingsAck(): void {
    this.guard.count("settings");
  }

  ping(ack: boolean, bytes: Uint8Array, start: number): void {
    if (ack) {
      this.#liveness?.pong(bytes, start);
      this.#role.pong(bytes, start);
      return;
    }
    this.guard.count("ping");
    this.write.ping(true, bytes.subarray(start, start + pingBytes));
  }

  goAway(lastStreamId: number): void {
    if (this.#state === "open") this.#state = "leaving";
    this.#role.goAway(lastStreamId);
    this.#role.leaving();
    this.#closeIfIdle();
  }

  windowUpdate(streamId: number, increment: number): void {
    if (streamId === 0) {
      this.scheduler.windowUpdate(increment);
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (this.#role.isIdle(streamId)) throw idle("WINDOW_UPDATE");
      return;
    }
    try {
      this.scheduler.streamWindowUpdate(stream, increment);
    } catch (thrown) {
      this.#mistake(streamId, thrown);
    }
  }

  ignored(): void {
    this.guard.count("ignored frame");
  }

  // StreamHost

  sendTrailers(stream: Http2Stream, trailers: Fields): void {
    if (this.isOver) return;
    this.write.encoder.begin();
    sendFields(this.write, stream, trailers, true);
  }

  resetStream(stream: Http2Stream, code: number): void {
    if (this.isOver) return;
    this.write.resetStream(stream.id, code);
    this.#forget(stream, "reset-by-us");
    this.#gone();
  }

  streamEnded(stream: Http2Stream): void {
    this.#forget(stream, "ended");
    this.#gone();
  }

  credit(stream: Http2Stream, bytes: number): void {
    if (!this.isOver) this.#credit.give(stream.over ? undefined : stream, bytes);
  }

  /** The stream that a DATA frame may fill; undefined when the frame is to be dropped. */
  #receiver(streamId: number, flowBytes: number, payloadBytes: number): Http2Stream | undefined {
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (this.#role.isIdle(streamId)) throw idle("DATA");
      if (this.closedStreams.get(streamId) !== "reset-by-us")
        this.#mistake(streamId, new StreamError(errorCode.streamClosed, "DATA on a closed stream"));
      return undefined;
    }
    stream.receiveWindowBytes -= flowBytes;
    stream.wireBytesReceived += flowBytes + frameHeaderBytes;
    try {
      if (stream.remoteEnded)
        throw new StreamError(errorCode.streamClosed, "DATA after the end of the stream");
      if (stream.receiveWindowBytes < 0)
        throw new StreamError(errorCode.flowControlError, "more DATA than the stream window");
      stream.checkData(payloadBytes);
      return stream;
    } catch (thrown) {
      this.#mistake(streamId, thrown);
      return undefined;
    }
  }

  /** The peer's mistake on one stream: RST_STREAM, and nothing else suffers. Anything but a StreamError goes on. */
  #mistake(streamId: number, thrown: unknown): void {
    if (!(thrown instanceof StreamError)) throw thrown;
    // Each makes us work and answer (CVE-2025-8671), so they are bounded like the peer's own resets.
    this.guard.count("early reset");
    this.write.resetStream(streamId, thrown.code);
    const stream = this.streams.get(streamId);
    this.#role.mistake(stream, thrown);
    if (stream === undefined) {
      this.closedStreams.add(streamId, "reset-by-us");
      return;
    }
    this.#forget(stream, "reset-by-us");
    const detail = `${errorCodeName(thrown.code)}: ${thrown.message}`;
    stream.fail({ kind: "protocol-error", detail });
    this.#gone();
  }

  #forget(stream: Http2Stream, how: "reset-by-us" | "ended"): void {
    this.streams.delete(stream.id);
    this.closedStreams.add(stream.id, how);
  }

  #gone(): void {
    this.#role.streamGone();
    this.#closeIfIdle();
  }

  #closeIfIdle(): void {
    if (this.#state !== "leaving" || this.streams.size > 0) return;
    this.#shut({ kind: "local", detail: "drained" });
  }

  #shut(reason: ResetReason): void {
    this.#state = "closing";
    this.#outbox.finish();
    this.#endStreams(reason);
    this.#transport.close();
  }

  #endStreams(reason: ResetReason): void {
    this.#liveness?.stop();
    this.#headDeadline?.watch(false);
    this.scheduler.close();
    const streams = [...this.streams.values()];
    this.streams.clear();
    for (const stream of streams) stream.fail(this.#role.lostReason(stream, reason));
    this.#role.leaving();
  }
}
