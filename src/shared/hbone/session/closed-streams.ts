/**
 * The streams that ended lately. A late frame for one that we reset is ignored, since the peer could not know yet (RFC 9113
 * section 5.1); for any other it is a mistake.
 */

export type ClosedHow = "reset-by-us" | "ended";

/** Beyond what a peer can have under way at once. */
const remembered = 256;

export class ClosedStreams {
  readonly #closed = new Map<number, ClosedHow>();

  add(streamId: number, how: ClosedHow): void {
    this.#closed.set(streamId, how);
    if (this.#closed.size <= remembered) return;
    for (const oldest of this.#closed.keys()) {
      this.#closed.delete(oldest);
      break;
    }
  }

  get(streamId: number): ClosedHow | undefined {
    return this.#closed.get(streamId);
  }
}
