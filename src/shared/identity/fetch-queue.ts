/** Work by priority, a few pieces at once, each item at most once in the queue. */
import type { FetchPriority } from "./secret-source.ts";

const order: readonly FetchPriority[] = ["real-time", "warmup", "background"];

export class FetchQueue<Item> {
  readonly #limit: number;
  readonly #run: (item: Item) => Promise<void>;
  /** Insertion order is arrival order within a priority. */
  readonly #waiting: Readonly<Record<FetchPriority, Set<Item>>> = {
    "real-time": new Set(),
    warmup: new Set(),
    background: new Set(),
  };
  readonly #running = new Set<Item>();

  /** `run` must not reject. */
  constructor(limit: number, run: (item: Item) => Promise<void>) {
    this.#limit = limit;
    this.#run = run;
  }

  add(item: Item, priority: FetchPriority): void {
    if (this.#running.has(item) || this.#priorityOf(item) !== undefined) {
      this.raise(item, priority);
      return;
    }
    this.#waiting[priority].add(item);
    this.#fill();
  }

  /** Lets a waiting item go first; nothing happens to one that runs, is not here or has this priority already. */
  raise(item: Item, priority: FetchPriority): void {
    const present = this.#priorityOf(item);
    if (present === undefined || order.indexOf(present) <= order.indexOf(priority)) return;
    this.#waiting[present].delete(item);
    this.#waiting[priority].add(item);
  }

  /** Takes a waiting item out; one that runs must be ended by its owner. */
  remove(item: Item): void {
    for (const priority of order) this.#waiting[priority].delete(item);
  }

  #priorityOf(item: Item): FetchPriority | undefined {
    return order.find((priority) => this.#waiting[priority].has(item));
  }

  #next(): Item | undefined {
    for (const priority of order)
      for (const item of this.#waiting[priority]) {
        this.#waiting[priority].delete(item);
        return item;
      }
    return undefined;
  }

  #fill(): void {
    while (this.#running.size < this.#limit) {
      const item = this.#next();
      if (item === undefined) return;
      this.#running.add(item);
      void this.#run(item).finally(() => {
        this.#running.delete(item);
        this.#fill();
      });
    }
  }
}
