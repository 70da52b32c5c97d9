/** Frames the body of one message as it goes out; shared by both codecs. */
import type { Fields } from "../message.ts";
import { chunked, type Framing } from "./framing.ts";
import { type OutputOwner, writeBytes, writeText } from "./output.ts";
import { trailerText } from "./write-head.ts";

export class BodyFramer {
  #framing: Framing = 0;
  /** Of a stated length, what is still to come. */
  #left = 0;

  begin(framing: Framing): void {
    this.#framing = framing;
    this.#left = framing > 0 ? framing : 0;
  }

  get framing(): Framing {
    return this.#framing;
  }

  /** False: more than was announced. The surplus is not written. */
  body(owner: OutputOwner, bytes: Buffer, start: number, end: number): boolean {
    if (end === start) return true;
    if (this.#framing === chunked) {
      writeText(owner, `${(end - start).toString(16)}\r\n`);
      writeBytes(owner, bytes, start, end);
      writeText(owner, "\r\n");
      return true;
    }
    if (this.#framing < 0) {
      writeBytes(owner, bytes, start, end);
      return true;
    }
    const fits = Math.min(end - start, this.#left);
    this.#left -= fits;
    writeBytes(owner, bytes, start, start + fits);
    return start + fits === end;
  }

  /** False: less than was announced. */
  end(owner: OutputOwner, trailers: Fields | undefined): boolean {
    if (this.#framing === chunked) writeText(owner, trailerText(trailers));
    return this.#left === 0;
  }
}
