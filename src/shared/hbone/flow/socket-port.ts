/** A socket of Node as an end of a flow: TLS, and TCP that somebody has read from. */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { describeError, MeshError } from "../../base/errors.ts";
import { detachSocket } from "../../os/detach-socket.ts";
import { type BufferReader, resumeReading, startReading } from "../../os/user-buffer.ts";
import { noteRead } from "../session/pace.ts";
import type { Slab } from "../session/slab.ts";
import type { Port, PortClose, PortListener } from "./port.ts";
import { quietErrors } from "./quiet-errors.ts";
import { nextReadView, readRoom, readStart } from "./read-room.ts";

export class SocketPort implements Port, BufferReader {
  readonly roomBytes = Number.POSITIVE_INFINITY;
  readonly #socket: Socket;
  /** Field initializers make functions that die young; see detach-socket.ts. */
  readonly #onWritten = (): void => this.#writeDone();
  #peer: Port | undefined;
  #listener: PortListener | undefined;
  #close: PortClose | undefined;
  #givenBytes = 0;
  #readEnded = false;
  #writeEnded = false;
  /** Writes handed to the socket, and those whose callback has come. */
  #writes = 0;
  #written = 0;
  /** The write that the peer waits for; 0 for none. */
  #awaited = 0;
  #slab: Slab | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get givenBytes(): number {
    return this.#givenBytes;
  }

  attach(peer: Port, listener: PortListener): void {
    const isFirst = this.#peer === undefined;
    this.#peer = peer;
    this.#listener = listener;
    if (isFirst) this.#start(peer);
    else if (this.#close !== undefined) listener.portClosed(this, this.#close);
  }

  #start(peer: Port): void {
    const socket = this.#socket;
    // The end of one direction must not end the other.
    socket.allowHalfOpen = true;
    socket.on("error", (error: NodeJS.ErrnoException) => this.#closed(closeOf(error)));
    socket.on("close", () => {
      detachSocket(socket);
      this.#socketClosed();
    });
    socket.on("end", () => {
      this.#readEnded = true;
      this.#peer?.finish();
    });
    if (socket.destroyed) {
      this.#socketClosed();
      return;
    }
    // What was read before goes on from where it lies: the room may hold a read of another socket at this moment.
    while (socket.readableLength > 0) {
      const chunk: Buffer | null = socket.read();
      if (chunk === null) break;
      this.#givenBytes += chunk.length;
      peer.takeUntouched(chunk, 0, chunk.length);
    }
    startReading(socket, this);
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  // BufferReader

  nextBuffer(): Buffer {
    return nextReadView(this.#peer?.roomBytes ?? 0);
  }

  onRead(length: number): boolean {
    noteRead(length);
    this.#givenBytes += length;
    return this.#peer?.take(readRoom(), readStart, readStart + length, undefined) ?? false;
  }

  // Port

  take(bytes: Buffer, start: number, end: number, slab: Slab | undefined): boolean {
    const socket = this.#socket;
    if (!socket.writable) return true;
    // Native code keeps a pointer to what it cannot send at once, so memory without a slab is copied.
    const chunk = slab === undefined ? copyOf(bytes, start, end) : bytes.subarray(start, end);
    this.#writes++;
    socket.write(chunk, this.#onWritten);
    // The kernel took everything: the callback will still come, but nothing waits for it.
    if (socket.writableLength === 0) return true;
    this.#awaited = this.#writes;
    slab?.retain();
    this.#slab?.release();
    this.#slab = slab;
    return false;
  }

  takeUntouched(bytes: Buffer, start: number, end: number): boolean {
    return this.take(bytes, start, end, undefined);
  }

  takeLast(bytes: Buffer, start: number, end: number, slab: Slab | undefined): boolean {
    const taken = this.take(bytes, start, end, slab);
    this.finish();
    return taken;
  }

  finish(): void {
    // Both directions have ended and nothing waits: closing says all that a shutdown would have said before.
    this.#writeEnded = this.#readEnded && this.#socket.writableLength === 0;
    // TLS has its own word for the end, without which the peer must suspect truncation (RFC 8446 section 6.1).
    if (this.#writeEnded && !(this.#socket instanceof TLSSocket)) this.#socket.destroy();
    else this.#socket.end();
  }

  resume(): void {
    resumeReading(this.#socket);
  }

  settle(): void {
    this.#socket.destroySoon();
  }

  abort(): void {
    // A reset, not an orderly end: the application must be able to tell that something is missing.
    // TLS has no reset; an end without its close_notify tells the same.
    if (this.#socket instanceof TLSSocket || this.#isShuttingDown()) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  /**
   * Everything was sent and the end is on its way: libuv refuses a reset now (EINVAL), and Node 24 then forgets the handle
   * without closing it.
   */
  #isShuttingDown(): boolean {
    const { writableEnded, writableFinished, writableLength } = this.#socket;
    return writableEnded && !writableFinished && writableLength === 0;
  }

  #writeDone(): void {
    this.#written++;
    if (this.#awaited === 0 || this.#written < this.#awaited) return;
    this.#awaited = 0;
    this.#releaseSlab();
    this.#peer?.resume();
  }

  #releaseSlab(): void {
    this.#slab?.release();
    this.#slab = undefined;
  }

  #socketClosed(): void {
    // Only now has native code let go of the memory.
    this.#releaseSlab();
    const clean = this.#readEnded && (this.#writeEnded || this.#socket.writableFinished);
    this.#closed(clean ? { kind: "clean" } : { kind: "reset" });
  }

  #closed(close: PortClose): void {
    if (this.#close !== undefined) return;
    this.#close = close;
    this.#listener?.portClosed(this, close);
  }
}

function closeOf(error: NodeJS.ErrnoException): PortClose {
  if (quietErrors.has(error.code)) return { kind: "reset" };
  return { kind: "failed", error: new MeshError("io-failed", describeError(error)) };
}

function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  return Buffer.from(bytes.subarray(start, end));
}
