/**
 * Values by stream id: open addressing, linear probing. Not a Map, because that would keep the streams of the past alive
 * (see base/roster.ts).
 */
const leastSlots = 16;
const free = 0;

export class StreamTable<T> {
  /** A power of two, at most half of it taken. */
  #ids = new Int32Array(leastSlots);
  #values: (T | undefined)[] = new Array(leastSlots).fill(undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(streamId: number): boolean {
    return streamId !== free && this.#ids[this.#slot(streamId)] === streamId;
  }

  get(streamId: number): T | undefined {
    return streamId === free ? undefined : this.#values[this.#slot(streamId)];
  }

  /** `streamId` is above 0. */
  set(streamId: number, value: T): void {
    if ((this.#size + 1) * 2 > this.#ids.length) this.#resize(this.#ids.length * 2);
    const slot = this.#slot(streamId);
    if (this.#ids[slot] === free) this.#size++;
    this.#ids[slot] = streamId;
    this.#values[slot] = value;
  }

  /** False when there was no such stream. */
  delete(streamId: number): boolean {
    if (!this.has(streamId)) return false;
    this.#vacate(this.#slot(streamId));
    this.#size--;
    const roomy = this.#ids.length > leastSlots && this.#size * 8 < this.#ids.length;
    if (roomy) this.#resize(this.#ids.length / 2);
    return true;
  }

  clear(): void {
    this.#ids = new Int32Array(leastSlots);
    this.#values = new Array(leastSlots).fill(undefined);
    this.#size = 0;
  }

  values(): T[] {
    return this.#values.filter((value) => value !== undefined);
  }

  /** Where the id is, or where it would go. The ids of one side are all odd or all even. */
  #slot(streamId: number): number {
    const mask = this.#ids.length - 1;
    let slot = (streamId >>> 1) & mask;
    while (this.#ids[slot] !== free && this.#ids[slot] !== streamId) slot = (slot + 1) & mask;
    return slot;
  }

  /** Moves back what was pushed on by the one that leaves, so that no search ends too early. */
  #vacate(leaving: number): void {
    const mask = this.#ids.length - 1;
    let hole = leaving;
    for (let slot = (hole + 1) & mask; this.#ids[slot] !== free; slot = (slot + 1) & mask) {
      const id = this.#ids[slot] ?? free;
      const home = (id >>> 1) & mask;
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      this.#ids[hole] = id;
      this.#values[hole] = this.#values[slot];
      hole = slot;
    }
    this.#ids[hole] = free;
    this.#values[hole] = undefined;
  }

  #resize(slots: number): void {
    const ids = this.#ids;
    const values = this.#values;
    this.#ids = new Int32Array(slots);
    this.#values = new Array(slots).fill(undefined);
    for (const [position, id] of ids.entries()) {
      if (id === free) continue;
      const slot = this.#slot(id);
      this.#ids[slot] = id;
      this.#values[slot] = values[position];
    }
  }
}
