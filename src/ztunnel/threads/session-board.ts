/**
 * How many connections each thread serves for a pod, in memory that all threads see. The kernel spreads connections by a hash
 * of their addresses, which is even for many, but not for few.
 *
 * Tunnels come over very few connections that live long, and where two of them fell to one thread the other would have nothing
 * to do: whoever accepts one looks who has the fewest. Connections that the pod's application opens are many and short, and
 * passing one on costs a message: that is done where this thread has two more than another one, and a quarter more.
 */
export type Lane = "session" | "captured";

/** Cells of a lane: whether it is open, then one count a thread, then what is on its way to each thread. */
const OPEN = 0;
const COUNTS = 1;

export interface BoardMemory {
  /** Of the pod. */
  readonly pod: SharedArrayBuffer;
  /** Of all pods together: decides between threads that are equal. */
  readonly all: SharedArrayBuffer;
}

/** Counts of all pods together. */
export function newTotals(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(threads * Int32Array.BYTES_PER_ELEMENT);
}

/** A connection of a pod that has no board any more. */
export function forgetOne(totals: SharedArrayBuffer, thread: number): void {
  Atomics.sub(new Int32Array(totals), thread, 1);
}

/** A pod's board; it stays closed until all threads have the pod. */
export function newBoard(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(2 * laneCells(threads) * Int32Array.BYTES_PER_ELEMENT);
}

function laneCells(threads: number): number {
  return COUNTS + 2 * threads;
}

export class SessionBoard {
  readonly #cells: Int32Array;
  readonly #totals: Int32Array;
  readonly #own: number;
  readonly #threads: number;
  readonly #lane: Lane;

  /** As the thread `own` sees it. */
  constructor({ pod, all }: BoardMemory, own: number, lane: Lane) {
    this.#totals = new Int32Array(all);
    this.#threads = this.#totals.length;
    this.#own = own;
    this.#lane = lane;
    const length = laneCells(this.#threads);
    const offset = lane === "session" ? 0 : length * Int32Array.BYTES_PER_ELEMENT;
    this.#cells = new Int32Array(pod, offset, length);
  }

  /** All threads have the pod: connections may go to any of them. */
  open(): void {
    Atomics.store(this.#cells, OPEN, 1);
  }

  /** From now on each connection stays where it was accepted. */
  close(): void {
    Atomics.store(this.#cells, OPEN, 0);
  }

  /** Counts a connection that was accepted here. Names the thread that it is on its way to; undefined: it stays. */
  place(): number | undefined {
    const thread = this.#lane === "session" ? this.#least() : this.#lighter();
    this.#count(thread, 1);
    if (thread === this.#own) return undefined;
    Atomics.add(this.#cells, this.#wayTo(thread), 1);
    // Looked at after it was announced: whoever closes the board looks for what is on its way after closing.
    if (Atomics.load(this.#cells, OPEN) === 1) return thread;
    this.keep(thread);
    return undefined;
  }

  /** A connection that was to go to another thread stays after all. */
  keep(thread: number): void {
    Atomics.sub(this.#cells, this.#wayTo(thread), 1);
    this.#count(thread, -1);
    this.#count(this.#own, 1);
  }

  /** One that was on its way here is here. */
  arrived(): void {
    Atomics.sub(this.#cells, this.#wayTo(this.#own), 1);
  }

  /** One that was served here has ended. */
  ended(): void {
    this.#count(this.#own, -1);
  }

  get onTheWayHere(): number {
    return Atomics.load(this.#cells, this.#wayTo(this.#own));
  }

  #wayTo(thread: number): number {
    return COUNTS + this.#threads + thread;
  }

  #least(): number {
    let best = this.#own;
    for (let thread = 0; thread < this.#threads; thread++) {
      if (this.#compare(thread, best) < 0) best = thread;
    }
    return best;
  }

  /** Another one where the difference is worth a message. */
  #lighter(): number {
    const own = Atomics.load(this.#cells, COUNTS + this.#own);
    let best = this.#own;
    let fewest = own - Math.max(2, own / 4);
    for (let thread = 0; thread < this.#threads; thread++) {
      const count = Atomics.load(this.#cells, COUNTS + thread);
      if (count > fewest || thread === this.#own) continue;
      best = thread;
      fewest = count - 1;
    }
    return best;
  }

  /** Negative: the first has fewer connections of this pod, or as many and fewer of all pods. */
  #compare(a: number, b: number): number {
    const ofPod = Atomics.load(this.#cells, COUNTS + a) - Atomics.load(this.#cells, COUNTS + b);
    return ofPod === 0 ? Atomics.load(this.#totals, a) - Atomics.load(this.#totals, b) : ofPod;
  }

  #count(thread: number, step: 1 | -1): void {
    Atomics.add(this.#cells, COUNTS + thread, step);
    if (this.#lane === "session") Atomics.add(this.#totals, thread, step);
  }
}
