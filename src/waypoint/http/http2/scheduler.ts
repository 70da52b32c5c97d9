/**
 * DATA frames out, within both windows and the peer's frame size. A stream that meets room is framed at once; otherwise what
 * waits leaves one frame a stream in turn, so that none of them waits for another's whole body.
 */
import { ConnectionError, errorCode, StreamError } from "../../../shared/hbone/http2/errors.ts";
import {
  defaultWindowBytes,
  frameFlag,
  frameHeaderBytes,
  frameType,
  maxWindowBytes,
  minMaxFrameBytes,
  putFrameHeader,
} from "../../../shared/hbone/http2/frames.ts";
import { type FrameOutbox, fullWriteBytes } from "./frame-outbox.ts";
import type { SendQueue } from "./send-queue.ts";

/** What a stream keeps for its sending half. */
export interface SendingStream {
  readonly id: number;
  readonly over: boolean;
  /** What the peer lets us send. Below zero after it lowered its initial window (RFC 9113 section 6.9.2). */
  sendWindowBytes: number;
  wireBytesSent: number;
  readonly queue: SendQueue;
  /** In the ring of those that have something to send. */
  isReady: boolean;
  /** Its writer was told to wait. */
  isHeldBack: boolean;
  /** Where its last DATA frame lies, if it has not left yet. */
  lastFrameAt: number;
  lastFrameWrite: number;
  /** Everything queued is framed. */
  queueSent(): void;
  /** The writer may go on. */
  writable(): void;
}

/** What one stream may have waiting before its writer is held back; below the second it may go on. */
const highWaterBytes = 64 * 1024;
const lowWaterBytes = 16 * 1024;
/** No frame is larger, whatever the peer allows, so that turns stay short. */
const largestFrameBytes = 64 * 1024 - 256;

export class Scheduler {
  readonly #out: FrameOutbox;
  #maxFrameBytes = minMaxFrameBytes;
  #windowBytes = defaultWindowBytes;
  #ring: SendingStream[] = [];
  #ringHead = 0;
  /** Held back by the transport alone. */
  #waiting: SendingStream[] = [];

  constructor(out: FrameOutbox) {
    this.#out = out;
  }

  /** The peer's SETTINGS_MAX_FRAME_SIZE. */
  set maxFrameBytes(bytes: number) {
    this.#maxFrameBytes = Math.min(bytes, largestFrameBytes);
  }

  /** Sends or queues [start, end). False: the writer waits for `writable`. */
  send(stream: SendingStream, bytes: Buffer, start: number, end: number): boolean {
    let at = start;
    const mayGoFirst = stream.queue.bytes === 0 && this.#ringHead === this.#ring.length;
    while (mayGoFirst && at < end && !this.#out.congested) {
      const length = Math.min(end - at, this.#allowedBytes(stream));
      if (length <= 0) break;
      const to = this.#frame(stream, length);
      bytes.copy(this.#out.block, to, at, at + length);
      at += length;
      if (this.#out.filledBytes >= fullWriteBytes) this.#out.flushNow();
    }
    if (at < end) {
      stream.queue.push(bytes, at, end);
      this.#makeReady(stream);
      this.#pump();
    }
    this.#out.flush();
    return this.#mayGoOn(stream);
  }

  /** END_STREAM behind everything that was sent: on the last frame while it is still here, else on an empty one. */
  endStream(stream: SendingStream): void {
    const { block } = this.#out;
    const lies = stream.lastFrameAt >= 0 && stream.lastFrameWrite === this.#out.writes;
    if (lies && stream.lastFrameAt + frameHeaderBytes <= block.length) {
      const flags = stream.lastFrameAt + 4;
      block[flags] = (block[flags] ?? 0) | frameFlag.endStream;
    } else {
      const at = this.#out.reserve(frameHeaderBytes);
      putFrameHeader(this.#out.block, at, 0, frameType.data, frameFlag.endStream, stream.id);
      stream.wireBytesSent += frameHeaderBytes;
    }
    this.#out.flush();
  }

  /** The transport has room again. */
  writable(): void {
    this.#out.writable();
    this.#pump();
    if (this.#out.congested) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const [position, stream] of waiting.entries()) {
      if (this.#out.congested) {
        // The others first next time.
        this.#waiting = [...waiting.slice(position), ...this.#waiting];
        return;
      }
      this.#goOn(stream);
    }
  }

  /** WINDOW_UPDATE for the connection. */
  windowUpdate(increment: number): void {
    if (increment === 0) throw new ConnectionError(errorCode.protocolError, "increment 0");
    this.#windowBytes += increment;
    if (this.#windowBytes > maxWindowBytes)
      throw new ConnectionError(errorCode.flowControlError, "connection window too large");
    this.#pump();
  }

  /** WINDOW_UPDATE for a stream. */
  streamWindowUpdate(stream: SendingStream, increment: number): void {
    if (increment === 0) throw new StreamError(errorCode.protocolError, "increment 0");
    stream.sendWindowBytes += increment;
    if (stream.sendWindowBytes > maxWindowBytes)
      throw new StreamError(errorCode.flowControlError, "stream window too large");
    if (stream.queue.bytes > 0) this.#makeReady(stream);
    this.#pump();
  }

  /** The peer's SETTINGS_INITIAL_WINDOW_SIZE changed by so much (RFC 9113 section 6.9.2). */
  initialWindowChanged(streams: Iterable<SendingStream>, differenceBytes: number): void {
    for (const stream of streams) {
      stream.sendWindowBytes += differenceBytes;
      if (stream.sendWindowBytes > maxWindowBytes)
        throw new ConnectionError(errorCode.flowControlError, "stream window too large");
      if (stream.queue.bytes > 0) this.#makeReady(stream);
    }
    this.#pump();
  }

  close(): void {
    this.#ring = [];
    this.#ringHead = 0;
    this.#waiting = [];
  }

  #allowedBytes(stream: SendingStream): number {
    return Math.min(stream.sendWindowBytes, this.#windowBytes, this.#maxFrameBytes);
  }

  #makeReady(stream: SendingStream): void {
    if (stream.isReady) return;
    stream.isReady = true;
    this.#ring.push(stream);
  }

  /** One frame for each ready stream in turn, as long as there is room. */
  #pump(): void {
    while (this.#ringHead < this.#ring.length && this.#windowBytes > 0 && !this.#out.congested) {
      const stream = this.#ring[this.#ringHead++];
      if (this.#ringHead > 64 && this.#ringHead * 2 > this.#ring.length) this.#tidyRing();
      if (stream === undefined) continue;
      stream.isReady = false;
      if (!stream.over) this.#sendQueued(stream);
    }
    if (this.#ringHead === this.#ring.length) this.#tidyRing();
    this.#out.flush();
  }

  #sendQueued(stream: SendingStream): void {
    const { queue } = stream;
    const length = Math.min(queue.bytes, this.#allowedBytes(stream));
    // Without a window of its own it waits for WINDOW_UPDATE outside the ring.
    if (length <= 0) return;
    const to = this.#frame(stream, length);
    queue.moveTo(this.#out.block, to, length);
    if (this.#out.filledBytes >= fullWriteBytes) this.#out.flushNow();
    if (queue.bytes > 0) this.#makeReady(stream);
    else stream.queueSent();
    if (stream.isHeldBack && queue.bytes <= lowWaterBytes) this.#goOn(stream);
  }

  #tidyRing(): void {
    this.#ring = this.#ring.slice(this.#ringHead);
    this.#ringHead = 0;
  }

  #mayGoOn(stream: SendingStream): boolean {
    if (stream.queue.bytes > highWaterBytes) {
      stream.isHeldBack = true;
      return false;
    }
    if (!this.#out.congested) return true;
    if (!stream.isHeldBack) {
      stream.isHeldBack = true;
      this.#waiting.push(stream);
    }
    return false;
  }

  #goOn(stream: SendingStream): void {
    if (!stream.isHeldBack || stream.over || stream.queue.bytes > lowWaterBytes) return;
    stream.isHeldBack = false;
    stream.writable();
  }

  /** Puts a frame header and returns where the payload goes. */
  #frame(stream: SendingStream, length: number): number {
    const at = this.#out.reserve(frameHeaderBytes + length);
    stream.sendWindowBytes -= length;
    this.#windowBytes -= length;
    stream.wireBytesSent += frameHeaderBytes + length;
    stream.lastFrameAt = at;
    stream.lastFrameWrite = this.#out.writes;
    return putFrameHeader(this.#out.block, at, length, frameType.data, 0, stream.id);
  }
}
