/** DNS messages in a byte stream: two bytes of length, then the message (RFC 1035 section 4.2.2). */

const LENGTH_BYTES = 2;
const FIRST_ALLOCATION_BYTES = 512;

/** Cuts a stream into messages, wherever its chunks were cut. Memory grows with the bytes received, not announced. */
export class FrameReader {
  #buffer = Buffer.alloc(0);
  /** Bytes of the unfinished message, its length included. */
  #filled = 0;

  /** Whether a message has begun and not ended. */
  get midMessage(): boolean {
    return this.#filled > 0;
  }

  /** The messages that end in this chunk. They are copies, free to keep. */
  push(chunk: Uint8Array): Uint8Array[] {
    const messages: Uint8Array[] = [];
    for (let at = 0; at < chunk.length; ) {
      const wanted = this.#wantedBytes();
      const taken = Math.min(wanted - this.#filled, chunk.length - at);
      this.#append(chunk.subarray(at, at + taken));
      at += taken;
      if (this.#filled < LENGTH_BYTES || this.#filled < this.#wantedBytes()) continue;
      messages.push(Uint8Array.from(this.#buffer.subarray(LENGTH_BYTES, this.#filled)));
      this.#filled = 0;
    }
    return messages;
  }

  #wantedBytes(): number {
    return this.#filled < LENGTH_BYTES ? LENGTH_BYTES : LENGTH_BYTES + this.#buffer.readUInt16BE(0);
  }

  #append(bytes: Uint8Array): void {
    const needed = this.#filled + bytes.length;
    if (needed > this.#buffer.length) {
      const larger = Buffer.alloc(
        Math.max(needed, 2 * this.#buffer.length, FIRST_ALLOCATION_BYTES),
      );
      larger.set(this.#buffer.subarray(0, this.#filled));
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#filled);
    this.#filled = needed;
  }
}

export function frame(message: Uint8Array): Uint8Array {
  const framed = Buffer.allocUnsafe(LENGTH_BYTES + message.length);
  framed.writeUInt16BE(message.length, 0);
  framed.set(message, LENGTH_BYTES);
  return framed;
}
