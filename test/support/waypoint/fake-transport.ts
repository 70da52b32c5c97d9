/** A transport in memory: a test plays the peer's octets and sees what was written. */
import type {
  Transport,
  TransportClose,
  TransportReader,
} from "../../../src/waypoint/http/transport.ts";

export class FakeTransport implements Transport {
  written = "";
  writes = 0;
  /** What was done to it besides writing. */
  ending: "open" | "ended" | "closed" | "reset" = "open";
  paused = false;
  /** What `write` answers. */
  takesMore = true;
  readBytes = 0;
  readonly unsentBytes = 0;
  #reader: TransportReader | undefined;

  start(reader: TransportReader): void {
    this.#reader = reader;
  }

  write(bytes: Buffer, start: number, end: number): boolean {
    if (this.ending === "open") {
      this.written += bytes.toString("latin1", start, end);
      this.writes++;
    }
    return this.takesMore;
  }

  resume(): void {
    this.paused = false;
  }

  end(): void {
    if (this.ending === "open") this.ending = "ended";
  }

  close(): void {
    if (this.ending === "open" || this.ending === "ended") this.ending = "closed";
  }

  reset(): void {
    this.ending = "reset";
  }

  // The peer's side.

  /** Plays octets, in pieces of `pieceBytes`. */
  play(text: string, pieceBytes = Number.POSITIVE_INFINITY): void {
    for (let at = 0; at < text.length; at += pieceBytes) {
      const bytes = Buffer.from(text.slice(at, at + pieceBytes), "latin1");
      // As the real one does it: the memory is overwritten by the next read.
      const block = Buffer.alloc(bytes.length + 20, 0xee);
      bytes.copy(block, 9);
      this.readBytes += bytes.length;
      if (this.ending === "closed" || this.ending === "reset") return;
      this.paused = this.#reader?.received(block, 9, 9 + bytes.length) === false;
      block.fill(0xee);
    }
  }

  playEnd(): void {
    this.#reader?.ended();
  }

  playWritable(): void {
    this.takesMore = true;
    this.#reader?.writable();
  }

  playClosed(close: TransportClose = { kind: "reset" }): void {
    this.#reader?.closed(close);
  }
}
