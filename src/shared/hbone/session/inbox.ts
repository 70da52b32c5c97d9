/**
 * What a session reads from its TLS socket: records land side by side in one block, are parsed where they lie, and whoever
 * still needs a piece retains the block. An idle session holds 2 KiB; a busy one grows to what it reads in one turn.
 */
import type { BufferReader } from "../../os/user-buffer.ts";
import { fullRecordBytes } from "../../tls/records.ts";
import { Slab, type SlabSize, slabSizes } from "./slab.ts";

export interface InboxOwner {
  /** [start, end) of this block has come. */
  received(slab: Slab, start: number, end: number): void;
  /** The block is nearly full: hand on what waits in it now rather than at the end of the turn. */
  flushDeliveries(): void;
  /** Asks for `flushDeliveries` at the end of the turn. */
  flushLater(): void;
}

const [idleSize, firstSize, busySize] = slabSizes;

export class Inbox implements BufferReader {
  readonly #owner: InboxOwner;
  #slab: Slab = Slab.take(idleSize);
  /** The buffer from 0, which is the usual one when readers keep up. */
  #whole: Buffer = this.#slab.bytes;
  #offset = 0;
  #next = 0;
  #wanted: SlabSize = idleSize;
  #recentBytes = 0;
  #closed = false;

  constructor(owner: InboxOwner) {
    this.#owner = owner;
  }

  nextBuffer(): Buffer {
    if (this.#closed) return this.#whole;
    if (this.#roomIsShort()) this.#owner.flushDeliveries();
    if (this.#slab.users === 1) {
      this.#next = 0;
      if (this.#wanted !== this.#slab.size) this.#replace(this.#wanted);
    } else if (this.#roomIsShort()) {
      this.#wanted = larger(this.#slab.size);
      this.#replace(this.#wanted);
    }
    this.#offset = this.#next;
    return this.#offset === 0 ? this.#whole : this.#slab.bytes.subarray(this.#offset);
  }

  onRead(length: number): boolean {
    if (this.#closed) return true;
    const start = this.#offset;
    const end = start + length;
    this.#next = end;
    this.#offset = end;
    this.#recentBytes += length;
    if (end === this.#slab.size) this.#wanted = larger(this.#slab.size);
    this.#owner.received(this.#slab, start, end);
    // A short record is the last one of a message: whoever waits for it should have it now.
    if (length < fullRecordBytes) this.#owner.flushDeliveries();
    else this.#owner.flushLater();
    return true;
  }

  /** Called now and then: an inbox that read next to nothing since the last call gives its block back at the next read. */
  relax(): void {
    if (this.#recentBytes < 1024) this.#wanted = idleSize;
    this.#recentBytes = 0;
  }

  /** Only after the socket has closed: native code writes to the block until then. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#slab.release();
  }

  #roomIsShort(): boolean {
    return this.#slab.size - this.#next < Math.min(fullRecordBytes, this.#slab.size / 2);
  }

  #replace(size: SlabSize): void {
    this.#slab.release();
    this.#slab = Slab.take(size);
    this.#whole = this.#slab.bytes;
    this.#next = 0;
  }
}

function larger(size: SlabSize): SlabSize {
  return size === idleSize ? firstSize : busySize;
}
