/**
 * The streams that ended lately. A late frame for one that we reset is ignored, since the peer could not know yet (RFC 9113
 * section 5.1); for any other it is a mistake.
 */

export type ClosedHow = "reset-by-us" | "ended";

/** Beyond what a peer can have under way at once. */
const remembered = 256;

export class ClosedStreams {
  /** Rings: the next one to come takes the place of the oldest. */
  readonly #ids = new Int32Array(remembered);
  readonly #how: ClosedHow[] = [];
  #next = 0;

  add(streamId: number, how: ClosedHow): void {
    const known = this.#ids.indexOf(streamId);
    if (known >= 0) {
      this.#how[known] = how;
      return;
    }
    this.#ids[this.#next] = streamId;
    this.#how[this.#next] = how;
    this.#next = (this.#next + 1) % remembered;
  }

  get(streamId: number): ClosedHow | undefined {
    const place = streamId === 0 ? -1 : this.#ids.indexOf(streamId);
    return place < 0 ? undefined : this.#how[place];
  }
}
