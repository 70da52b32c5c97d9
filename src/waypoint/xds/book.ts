/**
 * What was received of one type, for tools: the last accepted form of each resource as octets, when it came, what was read past
 * in it, and the refusal of a newer one.
 */

export interface Refusal {
  readonly version: string;
  readonly reason: string;
  readonly wallMs: number;
  /** What was refused. */
  readonly bytes: Uint8Array;
}

export interface BookEntry {
  readonly version: string;
  readonly wallMs: number;
  /** Of the message without its Any. */
  readonly bytes: Uint8Array;
  /** Parts that were accepted without effect. */
  readonly decorations: readonly string[];
}

export class ResourceBook {
  readonly typeUrl: string;
  readonly #accepted = new Map<string, BookEntry>();
  readonly #refused = new Map<string, Refusal>();

  constructor(typeUrl: string) {
    this.typeUrl = typeUrl;
  }

  get accepted(): ReadonlyMap<string, BookEntry> {
    return this.#accepted;
  }

  get refused(): ReadonlyMap<string, Refusal> {
    return this.#refused;
  }

  /** Whether this is what is held already: compiling it again would give the same. */
  isHeld(name: string, bytes: Uint8Array): boolean {
    const held = this.#accepted.get(name);
    return held !== undefined && Buffer.compare(held.bytes, bytes) === 0;
  }

  accept(name: string, entry: BookEntry): void {
    this.#accepted.set(name, entry);
    this.#refused.delete(name);
  }

  refuse(name: string, refusal: Refusal): void {
    this.#refused.set(name, refusal);
  }

  remove(name: string): void {
    this.#accepted.delete(name);
    this.#refused.delete(name);
  }

  /** A new stream brings everything that is not held: what was refused before and does not come again is gone. */
  forgetRefusals(): void {
    this.#refused.clear();
  }
}
