/** What comes of a request's body while its filters still decide. */
import type { Fields } from "../http/message.ts";
import { BodyCopy } from "./body-copy.ts";

interface Wanted {
  readonly maxBytes: number;
  readonly resolve: (body: { readonly bytes: Buffer; readonly complete: boolean }) => void;
  readonly reject: (reason: Error) => void;
}

export class EarlyBody {
  readonly #copy = new BodyCopy();
  #ended = false;
  #wanted: Wanted[] = [];
  trailers: Fields | undefined;

  get isEmpty(): boolean {
    return this.#copy.bytes === 0 && this.trailers === undefined;
  }

  /** False: no more of it, unless somebody wants more. */
  add(bytes: Buffer, start: number, end: number): boolean {
    this.#copy.add(bytes, start, end);
    this.#settle();
    return this.#wanted.length > 0;
  }

  end(trailers: Fields | undefined): void {
    this.#ended = true;
    this.trailers = trailers;
    this.#settle();
  }

  want(maxBytes: number, ended: boolean): Promise<{ bytes: Buffer; complete: boolean }> {
    this.#ended ||= ended;
    return new Promise((resolve, reject) => {
      this.#wanted.push({ maxBytes, resolve, reject });
      this.#settle();
    });
  }

  giveTo(taker: { body(bytes: Buffer, start: number, end: number): boolean }): boolean {
    return this.#copy.giveTo(taker);
  }

  /** The request is over. */
  abandon(): void {
    const wanted = this.#wanted;
    this.#wanted = [];
    for (const { reject } of wanted) reject(new Error("the client has gone"));
  }

  #settle(): void {
    const { bytes } = this.#copy;
    this.#wanted = this.#wanted.filter(({ maxBytes, resolve }) => {
      if (!this.#ended && bytes <= maxBytes) return true;
      const complete = this.#ended && bytes <= maxBytes;
      resolve({ bytes: this.#copy.beginning(maxBytes), complete });
      return false;
    });
  }
}
