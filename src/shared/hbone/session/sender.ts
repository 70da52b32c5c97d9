/**
 * DATA frames out: in the peer's frame size, within both windows, and with at most one write in flight. A read that meets
 * an idle session is framed where it lies and encrypted from there; everything else is joined behind the write in flight.
 */
import { Roster } from "../../base/roster.ts";
import { ConnectionError, errorCode, StreamError } from "../http2/errors.ts";
import {
  defaultWindowBytes,
  frameFlag,
  frameHeaderBytes,
  frameType,
  maxWindowBytes,
  minMaxFrameBytes,
  putFrameHeader,
} from "../http2/frames.ts";
import type { Http2Tunnel } from "./http2-tunnel.ts";
import { maxBacklogBytes, type Outbox } from "./outbox.ts";
import { backlogLimitBytes } from "./pace.ts";

/** From this size on a read is bulk: the next one waits for the write, instead of being copied behind it. */
const bulkReadBytes = 64 * 1024;
/** Kept free in the backlog for frames other than DATA. */
const controlReserveBytes = 64 * 1024;

export class Sender {
  readonly #outbox: Outbox;
  /** The peer's SETTINGS_MAX_FRAME_SIZE. */
  maxFrameBytes = minMaxFrameBytes;
  #windowBytes = defaultWindowBytes;
  /** Blocked by the write in flight, in the order in which they came. */
  #parked: Http2Tunnel[] = [];
  /** Blocked by a window. */
  readonly #starved = new Roster<Http2Tunnel>();

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /** The peer lets the session send nothing. */
  get exhausted(): boolean {
    return this.#windowBytes <= 0;
  }

  /** Sends [start, end), or holds what does not fit. False: no more until the tunnel's peer is resumed. */
  send(tunnel: Http2Tunnel, bytes: Buffer, start: number, end: number, hasRoom: boolean): boolean {
    if (tunnel.held !== undefined) {
      tunnel.held = Buffer.concat([tunnel.held, bytes.subarray(start, end)]);
      return false;
    }
    const length = end - start;
    const allowed = Math.min(length, this.#allowedBytes(tunnel));
    if (
      allowed === length &&
      hasRoom &&
      length <= this.maxFrameBytes &&
      this.#outbox.takesNow(length)
    ) {
      this.#writeInPlace(tunnel, bytes, start, end, 0);
      if (length < bulkReadBytes || this.#outbox.idle) return true;
      this.#park(tunnel);
      return false;
    }
    const sent = this.#append(tunnel, bytes, start, end);
    this.#outbox.flush();
    if (sent < length) {
      tunnel.held = Buffer.from(bytes.subarray(start + sent, end));
      this.#wait(tunnel);
      return false;
    }
    if (this.#outbox.backlogBytes < backlogLimitBytes()) return true;
    this.#park(tunnel);
    return false;
  }

  /** Sends [start, end) as one frame with END_STREAM; false, and nothing is done, when that does not fit at once. */
  sendLast(tunnel: Http2Tunnel, bytes: Buffer, start: number, end: number, room: boolean): boolean {
    const length = end - start;
    const fits = length <= this.maxFrameBytes && length <= this.#allowedBytes(tunnel);
    if (tunnel.held !== undefined || !fits || length >= bulkReadBytes) return false;
    if (room && this.#outbox.takesNow(length)) {
      this.#writeInPlace(tunnel, bytes, start, end, frameFlag.endStream);
      return true;
    }
    if (this.#backlogRoomBytes() < length) return false;
    this.#appendFrame(tunnel, bytes, start, end, frameFlag.endStream);
    this.#spend(tunnel, length);
    this.#outbox.flush();
    return true;
  }

  /** One frame, framed where it lies; only while the outbox is idle. */
  #writeInPlace(
    tunnel: Http2Tunnel,
    bytes: Buffer,
    start: number,
    end: number,
    flags: number,
  ): void {
    const length = end - start;
    this.#spend(tunnel, length);
    const from = start - frameHeaderBytes;
    putFrameHeader(bytes, from, length, frameType.data, flags, tunnel.id);
    this.#outbox.writeNow(bytes.subarray(from, end));
  }

  /** What the windows allow, and a fair share of the backlog when several tunnels wait for the write in flight. */
  roomBytes(tunnel: Http2Tunnel): number {
    const share = backlogLimitBytes() / Math.max(1, this.#parked.length);
    return Math.min(this.#allowedBytes(tunnel), share);
  }

  #allowedBytes(tunnel: Http2Tunnel): number {
    return Math.min(tunnel.sendWindowBytes, this.#windowBytes);
  }

  /** An empty DATA frame with END_STREAM: flow control does not count it. */
  endStream(tunnel: Http2Tunnel): void {
    const at = this.#outbox.reserve(frameHeaderBytes);
    putFrameHeader(this.#outbox.block, at, 0, frameType.data, frameFlag.endStream, tunnel.id);
    this.#outbox.flushSoon();
  }

  /** A write has finished: whoever waited for it goes on. */
  outboxSent(): void {
    if (this.#parked.length === 0) return;
    const parked = this.#parked;
    this.#parked = [];
    for (const tunnel of parked) {
      if (tunnel.blocked !== "outbox") continue;
      tunnel.blocked = "no";
      if (this.#outbox.backlogBytes < backlogLimitBytes()) this.#continue(tunnel);
      else this.#park(tunnel);
    }
  }

  /** WINDOW_UPDATE for the session. */
  windowUpdate(increment: number): void {
    if (increment === 0) throw new ConnectionError(errorCode.protocolError, "increment 0");
    this.#windowBytes += increment;
    if (this.#windowBytes > maxWindowBytes)
      throw new ConnectionError(errorCode.flowControlError, "session window too large");
    for (const tunnel of this.#starved.toArray()) this.#feed(tunnel);
  }

  /** WINDOW_UPDATE for a stream. */
  streamWindowUpdate(tunnel: Http2Tunnel, increment: number): void {
    if (increment === 0) throw new StreamError(errorCode.protocolError, "increment 0");
    tunnel.sendWindowBytes += increment;
    if (tunnel.sendWindowBytes > maxWindowBytes)
      throw new StreamError(errorCode.flowControlError, "stream window too large");
    this.#feed(tunnel);
  }

  /** The peer's SETTINGS_INITIAL_WINDOW_SIZE changed by so much (RFC 9113 section 6.9.2). */
  initialWindowChanged(tunnels: Iterable<Http2Tunnel>, differenceBytes: number): void {
    for (const tunnel of tunnels) {
      tunnel.sendWindowBytes += differenceBytes;
      if (tunnel.sendWindowBytes > maxWindowBytes)
        throw new ConnectionError(errorCode.flowControlError, "stream window too large");
    }
    for (const tunnel of this.#starved.toArray()) this.#feed(tunnel);
  }

  forget(tunnel: Http2Tunnel): void {
    tunnel.blocked = "no";
    tunnel.held = undefined;
    this.#starved.delete(tunnel);
  }

  /** Nothing is sent any more. */
  close(): void {
    this.#parked = [];
    for (const tunnel of this.#starved.toArray()) this.#starved.delete(tunnel);
  }

  #feed(tunnel: Http2Tunnel): void {
    if (tunnel.blocked !== "window" || tunnel.sendWindowBytes <= 0 || this.#windowBytes <= 0)
      return;
    tunnel.blocked = "no";
    this.#starved.delete(tunnel);
    this.#continue(tunnel);
  }

  /** Sends what is held, and when all of it is gone, asks for more. */
  #continue(tunnel: Http2Tunnel): void {
    const held = tunnel.held;
    if (held !== undefined) {
      const sent = this.#append(tunnel, held, 0, held.length);
      tunnel.held = sent < held.length ? held.subarray(sent) : undefined;
      this.#outbox.flush();
      if (tunnel.held !== undefined) {
        this.#wait(tunnel);
        return;
      }
    }
    tunnel.sent();
  }

  /** For the window if that is what is short, else for the write in flight. */
  #wait(tunnel: Http2Tunnel): void {
    if (tunnel.sendWindowBytes > 0 && this.#windowBytes > 0) {
      this.#park(tunnel);
      return;
    }
    tunnel.blocked = "window";
    this.#starved.add(tunnel);
  }

  #park(tunnel: Http2Tunnel): void {
    if (tunnel.blocked !== "no") return;
    tunnel.blocked = "outbox";
    this.#parked.push(tunnel);
    // Nothing is in flight whose end would be told.
    if (this.#outbox.idle) this.#outbox.tellSoon();
  }

  #spend(tunnel: Http2Tunnel, length: number): void {
    tunnel.sendWindowBytes -= length;
    this.#windowBytes -= length;
  }

  /** Copies as much as windows and backlog allow into frames behind the write in flight; returns how much. */
  #append(tunnel: Http2Tunnel, bytes: Buffer, start: number, end: number): number {
    const allowed = Math.min(end - start, this.#allowedBytes(tunnel));
    let sent = 0;
    while (sent < allowed) {
      const length = Math.min(allowed - sent, this.maxFrameBytes, this.#backlogRoomBytes());
      if (length <= 0) break;
      this.#appendFrame(tunnel, bytes, start + sent, start + sent + length, 0);
      sent += length;
    }
    if (sent > 0) this.#spend(tunnel, sent);
    return sent;
  }

  #backlogRoomBytes(): number {
    return maxBacklogBytes - controlReserveBytes - this.#outbox.backlogBytes - frameHeaderBytes;
  }

  #appendFrame(
    tunnel: Http2Tunnel,
    bytes: Buffer,
    start: number,
    end: number,
    flags: number,
  ): void {
    const length = end - start;
    const at = this.#outbox.reserve(frameHeaderBytes + length);
    const block = this.#outbox.block;
    const to = putFrameHeader(block, at, length, frameType.data, flags, tunnel.id);
    bytes.copy(block, to, start, end);
  }
}
