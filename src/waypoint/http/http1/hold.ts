/** Octets that could not be used yet: half a head, half a chunk line, a request that came before its turn. */
export class Hold {
  #bytes: Buffer | undefined;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What is held, from 0 to `length`. */
  get bytes(): Buffer {
    return this.#bytes ?? empty;
  }

  append(bytes: Buffer, start: number, end: number): void {
    const needed = this.#length + end - start;
    if (this.#bytes === undefined || this.#bytes.length < needed) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#length * 2, 512));
      this.#bytes?.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    bytes.copy(this.#bytes, this.#length, start, end);
    this.#length = needed;
  }

  /** Forgets the first `used`. */
  consume(used: number): void {
    if (used === 0) return;
    if (used >= this.#length) {
      this.clear();
      return;
    }
    this.#bytes?.copyWithin(0, used, this.#length);
    this.#length -= used;
  }

  clear(): void {
    this.#bytes = undefined;
    this.#length = 0;
  }
}

const empty = Buffer.alloc(0);
