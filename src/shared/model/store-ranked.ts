/** An index from a key to the few things that claim it, best first. Most keys have one claimant. */

export class RankedIndex<T> {
  readonly #entries = new Map<string, readonly T[]>();
  readonly #compare: (a: T, b: T) => number;

  /** `compare` must be a total order that does not depend on the order of arrival. */
  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  add(key: string, value: T): void {
    const held = this.#entries.get(key);
    this.#entries.set(key, held === undefined ? [value] : [...held, value].sort(this.#compare));
  }

  remove(key: string, value: T): void {
    const rest = this.#entries.get(key)?.filter((entry) => entry !== value) ?? [];
    if (rest.length === 0) this.#entries.delete(key);
    else this.#entries.set(key, rest);
  }

  all(key: string): readonly T[] {
    return this.#entries.get(key) ?? [];
  }

  best(key: string): T | undefined {
    return this.#entries.get(key)?.[0];
  }
}

/** Plain code unit order, the same on every machine. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
