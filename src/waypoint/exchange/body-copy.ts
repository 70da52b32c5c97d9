/** A body, or the beginning of one, kept to be sent later or again. */
export class BodyCopy {
  readonly #pieces: Buffer[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  add(bytes: Buffer, start: number, end: number): void {
    if (start === end) return;
    this.#pieces.push(Buffer.from(bytes.subarray(start, end)));
    this.#bytes += end - start;
  }

  /** False as soon as the taker says so; it has all the same taken everything. */
  giveTo(taker: { body(bytes: Buffer, start: number, end: number): boolean }): boolean {
    let ready = true;
    for (const piece of this.#pieces) ready = taker.body(piece, 0, piece.length);
    return ready;
  }

  /** The first octets, at most so many. */
  beginning(maxBytes: number): Buffer {
    const whole = Buffer.concat(this.#pieces);
    return whole.length > maxBytes ? whole.subarray(0, maxBytes) : whole;
  }
}
