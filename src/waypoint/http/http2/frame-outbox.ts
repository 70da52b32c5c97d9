/**
 * Frames on their way to the transport. What one read brings about leaves in one write: the first write of a turn when that
 * read's work is done, later ones together at the end of the turn.
 */

import { atTurnEnd, type TurnWork } from "../../../shared/base/turn.ts";
import { frameHeaderBytes } from "../../../shared/hbone/http2/frames.ts";
import type { FrameOut } from "../../../shared/hbone/session/frame-writer.ts";
import { Slab, type SlabSize, slabSizes } from "../../../shared/hbone/session/slab.ts";
import type { Transport } from "../transport.ts";

const [, firstSize, secondSize, lastSize] = slabSizes;

/** From here on DATA is written without waiting for more. */
export const fullWriteBytes = firstSize - frameHeaderBytes;
/** What control frames and heads may pile up to while the peer reads nothing. */
const maxBacklogBytes = lastSize;

export interface FrameOutboxOwner {
  /** The peer makes us answer and never reads: nothing more is written. */
  outboxOverflowed(): void;
}

export class FrameOutbox implements FrameOut, TurnWork {
  readonly #transport: Transport;
  readonly #owner: FrameOutboxOwner;
  readonly #onMicrotask: () => void;
  #slab: Slab | undefined;
  /** The transport may put a frame header of its own in front. */
  #fill = frameHeaderBytes;
  #asked: "no" | "microtask" | "turn" = "no";
  #wroteThisTurn = false;
  #turnAsked = false;
  #closed = false;
  /** The transport wants no more: DATA waits, the rest piles up here. */
  congested = false;
  /** Writes so far: whether a place in `block` still holds what was put there. */
  writes = 0;

  constructor(transport: Transport, owner: FrameOutboxOwner) {
    this.#transport = transport;
    this.#owner = owner;
    this.#onMicrotask = () => {
      if (this.#asked !== "microtask") return;
      this.#asked = "no";
      this.flushNow();
    };
  }

  get block(): Buffer {
    return this.#slab?.bytes ?? nowhere;
  }

  get filledBytes(): number {
    return this.#fill - frameHeaderBytes;
  }

  reserve(length: number): number {
    // Octets for a closed outbox go nowhere: writes beyond the end of a buffer are ignored.
    if (this.#closed) return 0;
    const at = this.#fill;
    this.#fill += length;
    if (this.#fill > (this.#slab?.size ?? 0)) this.#grow(at);
    return at;
  }

  flush(): void {
    if (this.#asked !== "no" || this.#closed) return;
    if (this.#wroteThisTurn) {
      this.#asked = "turn";
      this.#askTurn();
    } else {
      this.#asked = "microtask";
      queueMicrotask(this.#onMicrotask);
    }
  }

  flushSoon(): void {
    this.flush();
  }

  atTurnEnd(): void {
    this.#turnAsked = false;
    this.#wroteThisTurn = false;
    if (this.#asked !== "turn") return;
    this.#asked = "no";
    this.flushNow();
  }

  flushNow(): void {
    if (this.#closed || this.#slab === undefined || this.congested) return;
    this.#write();
  }

  /** The transport has room again. */
  writable(): void {
    this.congested = false;
    this.flushNow();
  }

  /** Writes what there is, congested or not: the last words of a connection. */
  finish(): void {
    if (!this.#closed && this.#slab !== undefined) this.#write();
    this.close();
  }

  close(): void {
    this.#closed = true;
    this.#slab?.release();
    this.#slab = undefined;
    this.#fill = frameHeaderBytes;
  }

  #write(): void {
    const slab = this.#slab;
    if (slab === undefined) return;
    const end = this.#fill;
    this.#slab = undefined;
    this.#fill = frameHeaderBytes;
    this.writes++;
    this.#wroteThisTurn = true;
    this.#askTurn();
    this.congested = !this.#transport.write(slab.bytes, frameHeaderBytes, end, true);
    slab.release();
  }

  #askTurn(): void {
    if (this.#turnAsked) return;
    this.#turnAsked = true;
    atTurnEnd(this);
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
}

function sizeFor(bytes: number): SlabSize {
  if (bytes <= firstSize) return firstSize;
  return bytes <= secondSize ? secondSize : lastSize;
}

const nowhere = Buffer.alloc(0);
