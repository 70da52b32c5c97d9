/**
 * The receiving half of a tunnel: from the session's memory to whoever takes the octets. What lies side by side is handed
 * on as one piece; the flow-control credit is returned when the taker is done, so a taker that stalls stops the sender at
 * the stream window, and what waits in between is never more than that.
 */
import type { Port } from "../flow/port.ts";
import { ByteQueue } from "./byte-queue.ts";
import type { Slab } from "./slab.ts";

export interface InflowOwner {
  /** So many octets are delivered or dropped. */
  credit(bytes: number): void;
  /** The last octet and the end of the stream were handed on. */
  inflowEnded(): void;
}

type End = "open" | "coming" | "handed-on" | "dropped";

export class Inflow {
  readonly #owner: InflowOwner;
  #taker: Port | undefined;
  /** A piece that waits for more to join it, in memory that stays as it is. */
  #slab: Slab | undefined;
  #start = 0;
  #pieceEnd = 0;
  /** Octets at the taker, which asked for a pause; 0 when it is ready. */
  #takenBytes = 0;
  #queue: ByteQueue | undefined;
  #end: End = "open";
  #givenBytes = 0;

  constructor(owner: InflowOwner) {
    this.#owner = owner;
  }

  get givenBytes(): number {
    return this.#givenBytes;
  }

  /** Handed on or still here. */
  get arrivedBytes(): number {
    const waiting = this.#slab === undefined ? 0 : this.#pieceEnd - this.#start;
    return this.#givenBytes + waiting + (this.#queue?.bytes ?? 0);
  }

  get ended(): boolean {
    return this.#end === "handed-on" || this.#end === "dropped";
  }

  attach(taker: Port): void {
    this.#taker = taker;
    this.#pump();
  }

  /**
   * [start, end) arrived. `joins`: nothing of another tunnel lies between the last piece and this one, so the gap (frame
   * headers) can be closed. Returns true when `flush` must be called by the end of the turn.
   */
  deliver(slab: Slab, start: number, end: number, joins: boolean): boolean {
    if (this.#end !== "open") {
      this.#owner.credit(end - start);
      return false;
    }
    if (this.#slab === slab) {
      if (start === this.#pieceEnd) {
        this.#pieceEnd = end;
        return false;
      }
      if (joins) {
        slab.bytes.copyWithin(this.#pieceEnd, start, end);
        this.#pieceEnd += end - start;
        return false;
      }
    }
    this.flush();
    if (this.#taker === undefined || this.#takenBytes > 0) {
      this.#queue ??= new ByteQueue();
      this.#queue.push(slab.bytes, start, end);
      return false;
    }
    slab.retain();
    this.#slab = slab;
    this.#start = start;
    this.#pieceEnd = end;
    return true;
  }

  /** Hands on the waiting piece. */
  flush(): void {
    const slab = this.#slab;
    if (slab === undefined) return;
    this.#slab = undefined;
    this.#give(slab, this.#start, this.#pieceEnd, false);
    slab.release();
  }

  /** Nothing more will arrive. */
  finish(): void {
    if (this.#end !== "open") return;
    this.#end = "coming";
    const slab = this.#slab;
    if (slab !== undefined) {
      // Nothing can be queued before a piece that waits only for more to join it.
      this.#slab = undefined;
      this.#give(slab, this.#start, this.#pieceEnd, true);
      slab.release();
    }
    this.#endIfDone();
  }

  /** The taker is ready again. */
  resume(): void {
    const taken = this.#takenBytes;
    this.#takenBytes = 0;
    if (taken > 0) this.#owner.credit(taken);
    this.#pump();
  }

  /** Forgets everything that was not handed on. */
  drop(): void {
    if (this.ended) return;
    this.#end = "dropped";
    const waiting = this.#slab === undefined ? 0 : this.#pieceEnd - this.#start;
    const bytes = waiting + this.#takenBytes + (this.#queue?.bytes ?? 0);
    this.#slab?.release();
    this.#slab = undefined;
    this.#queue?.clear();
    this.#takenBytes = 0;
    if (bytes > 0) this.#owner.credit(bytes);
  }

  #pump(): void {
    while (this.#takenBytes === 0 && this.#taker !== undefined) {
      const next = this.#queue?.shift();
      if (next === undefined) break;
      this.#give(next.slab, 0, next.end, false);
      next.slab.release();
    }
    this.#endIfDone();
  }

  #give(slab: Slab, start: number, end: number, isLast: boolean): void {
    const taker = this.#taker;
    const bytes = end - start;
    this.#givenBytes += bytes;
    // Counted before the call: the taker may resume from within it.
    this.#takenBytes = bytes;
    const taken = isLast
      ? taker?.takeLast(slab.bytes, start, end, slab)
      : taker?.take(slab.bytes, start, end, slab);
    if (taken === true && this.#takenBytes > 0) {
      this.#takenBytes = 0;
      this.#owner.credit(bytes);
    }
  }

  #endIfDone(): void {
    const waits = this.#takenBytes > 0 || (this.#queue?.bytes ?? 0) > 0;
    if (this.#end !== "coming" || waits || this.#taker === undefined) return;
    this.#end = "handed-on";
    this.#taker.finish();
    this.#owner.inflowEnded();
  }
}
