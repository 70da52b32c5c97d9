/** Keeps what proxies report, for scenes to look back at. */

const KEPT_ENTRIES = 5_000;

export class EntryRecord<T> {
  #entries: T[] = [];
  #forgotten = 0;

  add(entry: T): void {
    this.#entries.push(entry);
    if (this.#entries.length <= 2 * KEPT_ENTRIES) return;
    this.#entries = this.#entries.slice(KEPT_ENTRIES);
    this.#forgotten += KEPT_ENTRIES;
  }

  mark(): number {
    return this.#forgotten + this.#entries.length;
  }

  since(mark: number): readonly T[] {
    return this.#entries.slice(Math.max(0, mark - this.#forgotten));
  }
}
