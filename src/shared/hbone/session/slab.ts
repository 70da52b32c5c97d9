/**
 * Memory for reads and writes, in three sizes, counted and pooled: what is in use at once is bounded by the windows, and
 * what is free is kept up to a few blocks, so that a busy proxy allocates nothing while bytes flow.
 */

/** An idle session holds the smallest, a busy one the largest. */
export const slabSizes = [2 * 1024, 64 * 1024, 256 * 1024, 1024 * 1024] as const;
export type SlabSize = (typeof slabSizes)[number];

/** Free blocks kept of each pooled size. The smallest is not pooled. */
const keptFree: ReadonlyMap<SlabSize, number> = new Map([
  [slabSizes[1], 16],
  [slabSizes[2], 8],
  [slabSizes[3], 4],
]);

const free = new Map<SlabSize, Slab[]>(slabSizes.map((size) => [size, []]));
let inUse = 0;

/** A block with a count of users; the last one to leave gives it back. */
export class Slab {
  readonly bytes: Buffer;
  readonly size: SlabSize;
  #users = 0;

  private constructor(size: SlabSize) {
    this.size = size;
    this.bytes = Buffer.allocUnsafeSlow(size);
  }

  /** A block with one user. */
  static take(size: SlabSize): Slab {
    const slab = free.get(size)?.pop() ?? new Slab(size);
    slab.#users = 1;
    inUse++;
    return slab;
  }

  get users(): number {
    return this.#users;
  }

  retain(): void {
    this.#users++;
  }

  release(): void {
    this.#users--;
    if (this.#users > 0) return;
    inUse--;
    const kept = free.get(this.size);
    if (kept !== undefined && kept.length < (keptFree.get(this.size) ?? 0)) kept.push(this);
  }
}

/** Blocks that somebody holds; 0 when every session and flow has ended. */
export function slabsInUse(): number {
  return inUse;
}
