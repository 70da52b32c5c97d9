/** A codec as its transport's reader; apart from the codec, whose `closed` is a promise for those above it. */
import type { TransportClose, TransportReader } from "../transport.ts";

export interface Codec {
  received(bytes: Buffer, start: number, end: number): boolean;
  ended(): void;
  writable(): void;
  transportClosed(close: TransportClose): void;
}

export class CodecReader implements TransportReader {
  readonly #codec: Codec;

  constructor(codec: Codec) {
    this.#codec = codec;
  }

  received(bytes: Buffer, start: number, end: number): boolean {
    return this.#codec.received(bytes, start, end);
  }

  ended(): void {
    this.#codec.ended();
  }

  writable(): void {
    this.#codec.writable();
  }

  closed(close: TransportClose): void {
    this.#codec.transportClosed(close);
  }
}

/** Why the streams of a closed transport ended. */
export function describeClose(close: TransportClose): string {
  if (close.kind === "failed") return close.error.message;
  return close.kind === "clean" ? "closed" : "reset by peer";
}
