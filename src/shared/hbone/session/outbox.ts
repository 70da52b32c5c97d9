/**
 * What a session writes to its channel. A single buffer is encrypted straight from our memory before `write` returns, so it
 * is free again at once. While the channel has not finished a write, everything else is joined behind it in one block: so
 * the size of the writes decides the throughput where each takes a turn (perf.md section 2).
 */
import { atTurnEnd, type TurnWork } from "../../base/turn.ts";
import type { SecureChannel } from "../../tls/channel.ts";
import { fullRecordBytes } from "../../tls/records.ts";
import { Slab, type SlabSize, slabSizes } from "./slab.ts";

const [, firstSize, secondSize, lastSize] = slabSizes;

/** What can wait behind the write in flight. A peer that makes us answer and never reads (PINGs, SETTINGS) stops here. */
export const maxBacklogBytes = lastSize;

/** The plaintext of a record: more than that is not worth copying, to join it with something. */
const joinedBytes = fullRecordBytes;

export interface OutboxOwner {
  /** A write has finished, and what waited behind it is on its way. */
  outboxSent(): void;
  /** Too much waits: the peer does not read. The outbox is closed. */
  outboxOverflowed(): void;
}

export class Outbox implements TurnWork {
  readonly #channel: SecureChannel;
  readonly #owner: OutboxOwner;
  #slab: Slab | undefined;
  #fill = 0;
  #writing = false;
  #closed = false;
  #asked = false;
  #tells = false;
  /** Goes out before the end. */
  #last: Buffer | undefined;

  constructor(channel: SecureChannel, owner: OutboxOwner) {
    this.#channel = channel;
    this.#owner = owner;
  }

  /** Nothing in flight, nothing waiting: the next write reaches native code within the call. */
  get idle(): boolean {
    return !this.#writing && this.#fill === 0;
  }

  /** Octets that wait for the write in flight. */
  get backlogBytes(): number {
    return this.#fill;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Writes this memory now. Only while idle; the memory is free again after the return. */
  writeNow(bytes: Buffer): void {
    if (this.#closed) return;
    this.#writing = !this.#channel.write(bytes);
  }

  /** Makes room for `length` octets behind what waits; write them to `block` at the returned place before the next call. */
  reserve(length: number): number {
    // Octets for a closed outbox go nowhere: `block` is empty.
    if (this.#closed) return 0;
    const at = this.#fill;
    this.#fill += length;
    if (this.#fill > (this.#slab?.size ?? 0)) this.#grow(at);
    return at;
  }

  get block(): Buffer {
    return this.#slab?.bytes ?? emptyBlock;
  }

  /** Whether a buffer of this size should be written now from where it lies, rather than joined with others. */
  takesNow(bytes: number): boolean {
    return this.idle && (bytes >= joinedBytes || !this.#channel.isDirect);
  }

  /** Sends what waits, unless a write is in flight: then it goes with the next one. */
  flush(): void {
    if (this.#channel.isDirect && this.#fill < joinedBytes) this.flushSoon();
    else this.#flushNow();
  }

  #flushNow(): void {
    if (this.#writing || this.#fill === 0) return;
    const slab = this.#slab;
    const length = this.#fill;
    this.#slab = undefined;
    this.#fill = 0;
    if (slab === undefined) return;
    this.writeNow(slab.bytes.subarray(0, length));
    slab.release();
  }

  /** Sends what waits by the end of the turn, so that it can share a write with what else comes up. */
  flushSoon(): void {
    if (this.#asked || this.#writing) return;
    this.#asked = true;
    atTurnEnd(this);
  }

  /** Calls `outboxSent` at the end of the turn, though no write is in flight. */
  tellSoon(): void {
    this.#tells = true;
    if (!this.#asked) atTurnEnd(this);
    this.#asked = true;
  }

  atTurnEnd(): void {
    this.#asked = false;
    this.#flushNow();
    if (!this.#tells) return;
    this.#tells = false;
    if (!this.#writing && !this.#closed) this.#owner.outboxSent();
  }

  /** Sends everything that waits, then the end of the stream. */
  end(): void {
    if (this.#closed) return;
    const last = Buffer.from(this.block.subarray(0, this.#fill));
    this.close();
    this.#last = last;
    if (!this.#writing) this.#sendLast();
  }

  /** The stream knows nothing of a write in flight, so it must not come before its end. */
  #sendLast(): void {
    const last = this.#last;
    this.#last = undefined;
    if (last !== undefined) this.#channel.end(last);
  }

  /** Nothing more is written. */
  close(): void {
    this.#closed = true;
    this.#slab?.release();
    this.#slab = undefined;
    this.#fill = 0;
  }

  #grow(used: number): void {
    if (this.#fill > maxBacklogBytes) {
      this.close();
      this.#owner.outboxOverflowed();
      return;
    }
    const larger = Slab.take(sizeFor(this.#fill));
    this.#slab?.bytes.copy(larger.bytes, 0, 0, used);
    this.#slab?.release();
    this.#slab = larger;
  }

  /** The channel has finished the write in flight. */
  written(): void {
    this.#writing = false;
    if (this.#closed) {
      this.#sendLast();
      return;
    }
    this.#flushNow();
    this.#owner.outboxSent();
  }
}

function sizeFor(bytes: number): SlabSize {
  if (bytes <= firstSize) return firstSize;
  return bytes <= secondSize ? secondSize : lastSize;
}

const emptyBlock = Buffer.alloc(0);
