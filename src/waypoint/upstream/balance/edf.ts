/**
 * Earliest deadline first: hosts come in turns whose frequency is their weight. A heap by deadline; equal deadlines come in
 * the order in which they were put back.
 */
export class EdfQueue<Item> {
  readonly #weightOf: (item: Item) => number;
  readonly #items: Item[] = [];
  readonly #deadlines: number[] = [];
  readonly #orders: number[] = [];
  #now = 0;
  #order = 0;

  /** Weights are asked for whenever an item is put back; they must be above 0. */
  constructor(items: readonly Item[], weightOf: (item: Item) => number) {
    this.#weightOf = weightOf;
    for (const item of items) this.#push(item);
  }

  get size(): number {
    return this.#items.length;
  }

  next(): Item | undefined {
    const [item] = this.#items;
    if (item === undefined) return undefined;
    this.#now = this.#deadlines[0] ?? 0;
    this.#deadlines[0] = this.#now + 1 / this.#weightOf(item);
    this.#orders[0] = this.#order++;
    this.#sink(0);
    return item;
  }

  #push(item: Item): void {
    let at = this.#items.length;
    this.#items.push(item);
    this.#deadlines.push(this.#now + 1 / this.#weightOf(item));
    this.#orders.push(this.#order++);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!this.#isBefore(at, above)) return;
      this.#swap(at, above);
      at = above;
    }
  }

  #sink(from: number): void {
    let at = from;
    const { length } = this.#items;
    for (;;) {
      const left = at * 2 + 1;
      if (left >= length) return;
      const right = left + 1;
      const least = right < length && this.#isBefore(right, left) ? right : left;
      if (!this.#isBefore(least, at)) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #isBefore(a: number, b: number): boolean {
    const first = this.#deadlines[a] ?? 0;
    const second = this.#deadlines[b] ?? 0;
    if (first !== second) return first < second;
    return (this.#orders[a] ?? 0) < (this.#orders[b] ?? 0);
  }

  #swap(a: number, b: number): void {
    swap(this.#items, a, b);
    swap(this.#deadlines, a, b);
    swap(this.#orders, a, b);
  }
}

function swap<Value>(list: Value[], a: number, b: number): void {
  const [first, second] = [list[a], list[b]];
  if (first === undefined || second === undefined) return;
  list[a] = second;
  list[b] = first;
}
