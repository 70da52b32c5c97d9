/**
 * The frames other than DATA that a session sends. Somebody waits for HEADERS, so they leave at once; the others leave by
 * the end of the turn, in one write with what else comes up.
 */
import { HpackEncoder } from "../hpack/encoder.ts";
import {
  clientPreface,
  defaultWindowBytes,
  frameFlag,
  frameHeaderBytes,
  frameType,
  pingBytes,
  putFrameHeader,
  putSettings,
  putUint32,
  type Setting,
  settingBytes,
  settingId,
} from "../http2/frames.ts";
import type { HboneSettings, HeaderField } from "../tunnel.ts";
import type { PeerSettings } from "./peer-settings.ts";

/** Where frames are put: reserve room, write it into `block`, and say how urgent it is. */
export interface FrameOut {
  /** Returns where in `block` the reserved octets begin. Write them before the next call. */
  reserve(length: number): number;
  readonly block: Buffer;
  /** Somebody waits for this. */
  flush(): void;
  /** By the end of the turn, together with what else comes up. */
  flushSoon(): void;
}

export class FrameWriter {
  /** For blocks that are made field by field; `block` sends them. */
  readonly encoder: HpackEncoder;
  readonly #outbox: FrameOut;
  readonly #peer: PeerSettings;

  constructor(outbox: FrameOut, peer: PeerSettings, encoder: HpackEncoder = new HpackEncoder()) {
    this.#outbox = outbox;
    this.#peer = peer;
    this.encoder = encoder;
  }

  /** What each side sends first, in one write: the client's preface, SETTINGS, the session's window. */
  preface(settings: HboneSettings, role: "client" | "server"): void {
    this.begin(role, announced(settings, role), settings.connectionWindowBytes);
  }

  begin(role: "client" | "server", list: readonly Setting[], connectionWindowBytes: number): void {
    const prefaceBytes = role === "client" ? clientPreface.length : 0;
    const length = prefaceBytes + frameHeaderBytes + list.length * settingBytes;
    let at = this.#outbox.reserve(length);
    if (role === "client") at += clientPreface.copy(this.#outbox.block, at);
    putSettings(this.#outbox.block, at, list);
    const increment = connectionWindowBytes - defaultWindowBytes;
    if (increment > 0) this.#putWindowUpdate(0, increment);
    this.#outbox.flush();
  }

  settingsAck(): void {
    const at = this.#outbox.reserve(frameHeaderBytes);
    putFrameHeader(this.#outbox.block, at, 0, frameType.settings, frameFlag.ack, 0);
    this.#outbox.flushSoon();
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setHeaderTable(bytes: number): void {
    this.encoder.setPeerTableSize(bytes);
  }

  headers(streamId: number, fields: readonly HeaderField[], endStream: boolean): void {
    this.block(streamId, this.encoder.encode(fields), endStream);
  }

  /** A header block that stays as it is until the return. */
  block(streamId: number, block: Buffer, endStream: boolean): void {
    let sent = 0;
    do {
      const length = Math.min(block.length - sent, this.#peer.maxFrameBytes);
      const last = sent + length === block.length;
      const type = sent === 0 ? frameType.headers : frameType.continuation;
      const flags =
        (last ? frameFlag.endHeaders : 0) | (endStream && sent === 0 ? frameFlag.endStream : 0);
      const at = this.#outbox.reserve(frameHeaderBytes + length);
      const to = putFrameHeader(this.#outbox.block, at, length, type, flags, streamId);
      block.copy(this.#outbox.block, to, sent, sent + length);
      sent += length;
    } while (sent < block.length);
    this.#outbox.flush();
  }

  resetStream(streamId: number, code: number): void {
    const at = this.#outbox.reserve(frameHeaderBytes + 4);
    const to = putFrameHeader(this.#outbox.block, at, 4, frameType.resetStream, 0, streamId);
    putUint32(this.#outbox.block, to, code);
    this.#outbox.flushSoon();
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#putWindowUpdate(streamId, increment);
    this.#outbox.flushSoon();
  }

  ping(ack: boolean, payload: Uint8Array): void {
    const at = this.#outbox.reserve(frameHeaderBytes + pingBytes);
    const flags = ack ? frameFlag.ack : 0;
    const to = putFrameHeader(this.#outbox.block, at, pingBytes, frameType.ping, flags, 0);
    const block = this.#outbox.block;
    for (let index = 0; index < pingBytes; index++) block[to + index] = payload[index] ?? 0;
    this.#outbox.flushSoon();
  }

  goAway(lastStreamId: number, code: number): void {
    const at = this.#outbox.reserve(frameHeaderBytes + 8);
    const to = putFrameHeader(this.#outbox.block, at, 8, frameType.goAway, 0, 0);
    putUint32(this.#outbox.block, putUint32(this.#outbox.block, to, lastStreamId), code);
    this.#outbox.flushSoon();
  }

  #putWindowUpdate(streamId: number, increment: number): void {
    const at = this.#outbox.reserve(frameHeaderBytes + 4);
    const to = putFrameHeader(this.#outbox.block, at, 4, frameType.windowUpdate, 0, streamId);
    putUint32(this.#outbox.block, to, increment);
  }
}

function announced(settings: HboneSettings, role: "client" | "server"): readonly Setting[] {
  const common: Setting[] = [
    [settingId.initialWindowSize, settings.streamWindowBytes],
    [settingId.maxFrameSize, settings.maxFrameBytes],
    [settingId.maxHeaderListSize, settings.maxHeaderListBytes],
  ];
  return role === "client"
    ? [[settingId.enablePush, 0], ...common]
    : [[settingId.maxConcurrentStreams, settings.maxStreams], ...common];
}
