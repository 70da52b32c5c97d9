/** Received octets that the reader is not ready for, copied out of the session's memory so that they pin no more than they are. */
import { Slab, type SlabSize, slabSizes } from "./slab.ts";

export interface QueuedBytes {
  readonly slab: Slab;
  end: number;
}

export class ByteQueue {
  readonly #entries: QueuedBytes[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  push(source: Buffer, start: number, end: number): void {
    this.#bytes += end - start;
    let at = start;
    while (at < end) {
      const last = this.#lastWithRoom(end - at);
      const copied = source.copy(last.slab.bytes, last.end, at, end);
      last.end += copied;
      at += copied;
    }
  }

  /** The oldest block; the caller releases its slab. */
  shift(): QueuedBytes | undefined {
    const first = this.#entries.shift();
    this.#bytes -= first?.end ?? 0;
    return first;
  }

  clear(): void {
    for (const entry of this.#entries) entry.slab.release();
    this.#entries.length = 0;
    this.#bytes = 0;
  }

  #lastWithRoom(wanted: number): QueuedBytes {
    const last = this.#entries.at(-1);
    if (last !== undefined && last.end < last.slab.size) return last;
    const fresh = { slab: Slab.take(nextSize(last?.slab.size, wanted)), end: 0 };
    this.#entries.push(fresh);
    return fresh;
  }
}

/** Small for little, larger once a block was filled, never more than the reads' own size. */
function nextSize(previous: SlabSize | undefined, wanted: number): SlabSize {
  const [small, medium, large] = slabSizes;
  if (previous === undefined) return wanted <= small ? small : medium;
  return previous === small ? medium : large;
}
