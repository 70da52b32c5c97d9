/**
 * Cuts an octet stream into frames, however it is split, and checks each frame by itself: lengths, stream numbers, the
 * order of header blocks (RFC 9113 sections 4.1, 6.1 to 6.10). What a frame means for a stream is decided by the sink.
 * DATA is handed on in the pieces in which it arrives; every other frame as a whole.
 */
import { ConnectionError, errorCode } from "./errors.ts";
import {
  clientPreface,
  frameFlag,
  frameHeaderBytes,
  frameType,
  pingBytes,
  settingBytes,
  uint31At,
  uint32At,
} from "./frames.ts";

export interface FrameSink {
  /** A DATA frame begins; `flowBytes` is what flow control counts, `payloadBytes` what will be handed on. */
  data(streamId: number, flowBytes: number, payloadBytes: number): void;
  /** A piece of its payload. The memory may be changed after the return. */
  payload(bytes: Buffer, start: number, end: number): void;
  /** All of the frame has come. */
  dataEnd(streamId: number, endStream: boolean): void;
  /** A complete header block, joined from its CONTINUATION frames. */
  headers(
    streamId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    endStream: boolean,
  ): void;
  peerReset(streamId: number, code: number): void;
  /** A SETTINGS frame that is not an acknowledgment, in whole entries. */
  settings(bytes: Uint8Array, start: number, end: number): void;
  settingsAck(): void;
  ping(ack: boolean, bytes: Uint8Array, start: number): void;
  goAway(lastStreamId: number, code: number): void;
  /** `streamId` 0 is the connection. `increment` may be 0, which is an error of the stream or the connection. */
  windowUpdate(streamId: number, increment: number): void;
  /** PRIORITY, or a type we do not know: nothing to do but count it. */
  ignored(): void;
}

export interface FrameLimits {
  /** The SETTINGS_MAX_FRAME_SIZE we announced. */
  readonly maxFrameBytes: number;
  /** Largest header block before decoding, CONTINUATION frames included. */
  readonly maxBlockBytes: number;
  /** Whether the client's preface comes first (section 3.4). */
  readonly preface: boolean;
}

/** A block in many tiny pieces is an attack (CVE-2024-27316), not a need. */
const maxContinuations = 64;
/** Frames that are held as a whole, apart from header blocks: SETTINGS with 64 entries, GOAWAY with some text. */
const maxControlBytes = 16_384;
const maxSettings = 64;

type Stage = "preface" | "frame-header" | "pad-length" | "payload" | "padding" | "body" | "skip";

interface OpenBlock {
  readonly streamId: number;
  readonly endStream: boolean;
  readonly parts: Buffer[];
  bytes: number;
  continuations: number;
}

export class FrameReader {
  readonly #sink: FrameSink;
  readonly #limits: FrameLimits;
  readonly #header = Buffer.alloc(frameHeaderBytes);
  #headerFill = 0;
  #stage: Stage;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  /** Octets of the current stage that have not come yet. */
  #left = 0;
  #paddingBytes = 0;
  /** A control frame that came in pieces. */
  #body: Buffer | undefined;
  #block: OpenBlock | undefined;
  #first = true;

  constructor(sink: FrameSink, limits: FrameLimits) {
    this.#sink = sink;
    this.#limits = limits;
    this.#stage = limits.preface ? "preface" : "frame-header";
    this.#left = limits.preface ? clientPreface.length : 0;
  }

  /** A header block or the preface has begun and is not complete. */
  get awaitsHead(): boolean {
    const inHeaders = this.#stage === "body" && this.#type === frameType.headers;
    return this.#block !== undefined || inHeaders || this.#stage === "preface";
  }

  /** Reads [start, end). Throws ConnectionError, after which the reader must not be used again. */
  feed(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) at = this.#step(bytes, at, end);
  }

  #step(bytes: Buffer, at: number, end: number): number {
    const next = Math.min(end, at + this.#left);
    switch (this.#stage) {
      case "payload":
        this.#left -= next - at;
        this.#sink.payload(bytes, at, next);
        if (this.#left === 0) this.#payloadDone();
        return next;
      case "frame-header":
        return this.#frameHeader(bytes, at, end);
      case "body":
        return this.#collectBody(bytes, at, next);
      case "pad-length":
        this.#padLength(bytes[at] ?? 0);
        return at + 1;
      case "padding":
        this.#left -= next - at;
        if (this.#left === 0) this.#dataDone();
        return next;
      case "skip":
        this.#left -= next - at;
        if (this.#left === 0) this.#stage = "frame-header";
        return next;
      case "preface":
        this.#preface(bytes, at, next);
        return next;
    }
  }

  #preface(bytes: Buffer, at: number, next: number): void {
    const from = clientPreface.length - this.#left;
    if (bytes.compare(clientPreface, from, from + next - at, at, next) !== 0)
      throw violation("bad connection preface");
    this.#left -= next - at;
    if (this.#left === 0) this.#stage = "frame-header";
  }

  #frameHeader(bytes: Buffer, at: number, end: number): number {
    if (this.#headerFill === 0 && end - at >= frameHeaderBytes) {
      this.#begin(bytes, at);
      return at + frameHeaderBytes;
    }
    const taken = Math.min(frameHeaderBytes - this.#headerFill, end - at);
    bytes.copy(this.#header, this.#headerFill, at, at + taken);
    this.#headerFill += taken;
    if (this.#headerFill === frameHeaderBytes) {
      this.#headerFill = 0;
      this.#begin(this.#header, 0);
    }
    return at + taken;
  }

  /** A frame header stands at `at`. */
  #begin(bytes: Buffer, at: number): void {
    const length = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    this.#type = bytes[at + 3] ?? 0;
    this.#flags = bytes[at + 4] ?? 0;
    this.#streamId = uint31At(bytes, at + 5);
    if (length > this.#limits.maxFrameBytes)
      throw new ConnectionError(errorCode.frameSizeError, `frame of ${length} octets`);
    this.#checkOrder();
    this.#left = length;
    if (this.#type === frameType.data) this.#beginData(length);
    else this.#beginOther(length);
  }

  /** A header block is not to be interrupted (section 4.3), and SETTINGS come first (section 3.4). */
  #checkOrder(): void {
    if (this.#first && (this.#type !== frameType.settings || (this.#flags & frameFlag.ack) !== 0))
      throw violation("the first frame is not SETTINGS");
    this.#first = false;
    const continues = this.#type === frameType.continuation;
    if (this.#block === undefined) {
      if (continues) throw violation("CONTINUATION without HEADERS");
    } else if (!continues || this.#streamId !== this.#block.streamId) {
      throw violation("a header block is interrupted");
    }
  }

  #beginData(length: number): void {
    if (this.#streamId === 0) throw violation("DATA on stream 0");
    this.#paddingBytes = 0;
    if ((this.#flags & frameFlag.padded) !== 0) {
      if (length === 0) throw new ConnectionError(errorCode.frameSizeError, "padding without room");
      this.#stage = "pad-length";
      return;
    }
    this.#sink.data(this.#streamId, length, length);
    this.#stage = "payload";
    if (length === 0) this.#dataDone();
  }

  #padLength(padding: number): void {
    const length = this.#left;
    this.#left--;
    if (padding > this.#left) throw violation("more padding than frame");
    this.#paddingBytes = padding;
    this.#left -= padding;
    this.#sink.data(this.#streamId, length, this.#left);
    this.#stage = "payload";
    if (this.#left === 0) this.#payloadDone();
  }

  #payloadDone(): void {
    if (this.#paddingBytes === 0) {
      this.#dataDone();
      return;
    }
    this.#left = this.#paddingBytes;
    this.#stage = "padding";
  }

  #dataDone(): void {
    this.#stage = "frame-header";
    this.#sink.dataEnd(this.#streamId, (this.#flags & frameFlag.endStream) !== 0);
  }

  #beginOther(length: number): void {
    checkFrame(this.#type, this.#flags, this.#streamId, length);
    if (!isHeld(this.#type)) {
      this.#sink.ignored();
      this.#stage = length === 0 ? "frame-header" : "skip";
      return;
    }
    const isBlock = this.#type === frameType.headers || this.#type === frameType.continuation;
    const limit = isBlock ? this.#limits.maxBlockBytes : maxControlBytes;
    if (length > limit)
      throw new ConnectionError(errorCode.enhanceYourCalm, `frame of ${length} octets`);
    this.#stage = "body";
    if (length === 0) this.#frame(this.#header, 0, 0);
  }

  #collectBody(bytes: Buffer, at: number, next: number): number {
    const come = next - at;
    if (this.#body === undefined) {
      if (come === this.#left) {
        this.#frame(bytes, at, next);
        return next;
      }
      this.#body = Buffer.allocUnsafe(this.#left);
    }
    const body = this.#body;
    bytes.copy(body, body.length - this.#left, at, next);
    this.#left -= come;
    if (this.#left === 0) {
      this.#body = undefined;
      this.#frame(body, 0, body.length);
    }
    return next;
  }

  /** A whole frame that is not DATA; its fixed lengths are right. */
  #frame(bytes: Buffer, start: number, end: number): void {
    this.#stage = "frame-header";
    this.#left = 0;
    const ack = (this.#flags & frameFlag.ack) !== 0;
    switch (this.#type) {
      case frameType.headers:
        this.#headersFrame(bytes, start, end);
        break;
      case frameType.continuation:
        this.#continuation(bytes, start, end);
        break;
      case frameType.resetStream:
        this.#sink.peerReset(this.#streamId, uint32At(bytes, start));
        break;
      case frameType.settings:
        if (ack) this.#sink.settingsAck();
        else this.#sink.settings(bytes, start, end);
        break;
      case frameType.ping:
        this.#sink.ping(ack, bytes, start);
        break;
      case frameType.goAway:
        this.#sink.goAway(uint31At(bytes, start), uint32At(bytes, start + 4));
        break;
      default:
        this.#sink.windowUpdate(this.#streamId, uint31At(bytes, start));
    }
  }

  #headersFrame(bytes: Buffer, start: number, end: number): void {
    let from = start;
    let to = end;
    if ((this.#flags & frameFlag.padded) !== 0) to -= bytes[from++] ?? 0;
    if ((this.#flags & frameFlag.priority) !== 0) from += 5;
    if (from > to) throw violation("more padding than frame");
    const endStream = (this.#flags & frameFlag.endStream) !== 0;
    if ((this.#flags & frameFlag.endHeaders) !== 0) {
      this.#sink.headers(this.#streamId, bytes, from, to, endStream);
      return;
    }
    this.#block = {
      streamId: this.#streamId,
      endStream,
      parts: [Buffer.from(bytes.subarray(from, to))],
      bytes: to - from,
      continuations: 0,
    };
  }

  #continuation(bytes: Buffer, start: number, end: number): void {
    const block = this.#block;
    if (block === undefined) throw violation("CONTINUATION without HEADERS");
    block.bytes += end - start;
    block.continuations++;
    if (block.bytes > this.#limits.maxBlockBytes || block.continuations > maxContinuations)
      throw new ConnectionError(errorCode.enhanceYourCalm, "header block too large");
    block.parts.push(Buffer.from(bytes.subarray(start, end)));
    if ((this.#flags & frameFlag.endHeaders) === 0) return;
    this.#block = undefined;
    const whole = Buffer.concat(block.parts, block.bytes);
    this.#sink.headers(block.streamId, whole, 0, whole.length, block.endStream);
  }
}

/** Types whose payload we need as a whole. */
function isHeld(type: number): boolean {
  return type <= frameType.continuation && type !== frameType.priority;
}

function checkFrame(type: number, flags: number, streamId: number, length: number): void {
  switch (type) {
    case frameType.headers:
      if (streamId === 0) throw violation("HEADERS on stream 0");
      checkHeadersLength(flags, length);
      break;
    case frameType.priority:
      requireStream(streamId, "PRIORITY");
      requireLength(length === 5, "PRIORITY", length);
      break;
    case frameType.resetStream:
      requireStream(streamId, "RST_STREAM");
      requireLength(length === 4, "RST_STREAM", length);
      break;
    case frameType.settings:
      checkSettingsFrame(flags, streamId, length);
      break;
    case frameType.pushPromise:
      // Clients do not push, and we tell servers not to (section 8.4).
      throw violation("PUSH_PROMISE");
    case frameType.ping:
      if (streamId !== 0) throw violation("PING on a stream");
      requireLength(length === pingBytes, "PING", length);
      break;
    case frameType.goAway:
      if (streamId !== 0) throw violation("GOAWAY on a stream");
      requireLength(length >= 8, "GOAWAY", length);
      break;
    case frameType.windowUpdate:
      requireLength(length === 4, "WINDOW_UPDATE", length);
      break;
    default:
      break;
  }
}

function checkHeadersLength(flags: number, length: number): void {
  const padding = (flags & frameFlag.padded) === 0 ? 0 : 1;
  const priority = (flags & frameFlag.priority) === 0 ? 0 : 5;
  requireLength(length >= padding + priority, "HEADERS", length);
}

function checkSettingsFrame(flags: number, streamId: number, length: number): void {
  if (streamId !== 0) throw violation("SETTINGS on a stream");
  const ack = (flags & frameFlag.ack) !== 0;
  requireLength(ack ? length === 0 : length % settingBytes === 0, "SETTINGS", length);
  if (length > maxSettings * settingBytes)
    throw new ConnectionError(errorCode.enhanceYourCalm, `SETTINGS of ${length} octets`);
}

function requireStream(streamId: number, name: string): void {
  if (streamId === 0) throw violation(`${name} on stream 0`);
}

function requireLength(right: boolean, name: string, length: number): void {
  if (!right) throw new ConnectionError(errorCode.frameSizeError, `${name} of ${length} octets`);
}

function violation(what: string): ConnectionError {
  return new ConnectionError(errorCode.protocolError, what);
}
