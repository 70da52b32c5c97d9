/** Octets of one message that wait for a window or for the transport: copied, since their memory is lent for the call only. */

const leastChunkBytes = 4096;

export class SendQueue {
  readonly #chunks: Buffer[] = [];
  /** Octets used of the last chunk, and taken from the first. */
  #tail = 0;
  #head = 0;
  bytes = 0;

  push(source: Buffer, start: number, end: number): void {
    this.bytes += end - start;
    let at = start;
    while (at < end) {
      const last = this.#chunks.at(-1);
      if (last === undefined || this.#tail === last.length) {
        this.#chunks.push(Buffer.allocUnsafe(Math.max(leastChunkBytes, end - at)));
        this.#tail = 0;
        continue;
      }
      const copied = source.copy(last, this.#tail, at, end);
      this.#tail += copied;
      at += copied;
    }
  }

  /** Moves `length` octets, no more than there are, to `out`. */
  moveTo(out: Buffer, to: number, length: number): void {
    this.bytes -= length;
    let left = length;
    while (left > 0) {
      const first = this.#chunks[0];
      if (first === undefined) return;
      const end = this.#chunks.length === 1 ? this.#tail : first.length;
      const taken = Math.min(left, end - this.#head);
      first.copy(out, to + length - left, this.#head, this.#head + taken);
      left -= taken;
      this.#head += taken;
      if (this.#head < end) return;
      this.#chunks.shift();
      this.#head = 0;
    }
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#head = 0;
    this.#tail = 0;
    this.bytes = 0;
  }
}
