/** Envoy's ketama ring: each host stands on it as often as its share asks for, at the hashes of `<key>_<n>`. */
import { xxHash64 } from "../../../shared/base/xxhash64.ts";
import type { Host } from "./host.ts";
import type { HostShare } from "./normalized.ts";

export interface HashTable<H extends Host> {
  /** `attempt` above 0 asks for another one for the same hash. */
  find(hash: bigint, attempt: number): H | undefined;
}

export interface RingSize {
  readonly minRingSize: number;
  readonly maxRingSize: number;
}

export function buildRing<H extends Host>(
  shares: readonly HostShare<H>[],
  size: RingSize,
  keyOf: (host: H) => string,
): HashTable<H> {
  if (shares.length === 0) return { find: () => undefined };
  const least = shares.reduce((min, { share }) => Math.min(min, share), 1);
  // So that the lightest host gets a whole number of places.
  const scale = Math.min(Math.ceil(least * size.minRingSize) / least, size.maxRingSize);
  const places: { readonly hash: bigint; readonly host: H }[] = [];
  let wanted = 0;
  for (const { host, share } of shares) {
    const prefix = `${keyOf(host)}_`;
    wanted += scale * share;
    for (let place = 0; places.length < wanted; place++)
      places.push({ hash: xxHash64(`${prefix}${place}`), host });
  }
  places.sort((a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0));
  return new Ring(
    BigUint64Array.from(places, ({ hash }) => hash),
    places.map(({ host }) => host),
  );
}

class Ring<H extends Host> implements HashTable<H> {
  readonly #hashes: BigUint64Array;
  readonly #hosts: readonly H[];

  constructor(hashes: BigUint64Array, hosts: readonly H[]) {
    this.#hashes = hashes;
    this.#hosts = hosts;
  }

  find(hash: bigint, attempt: number): H | undefined {
    const at = this.#firstFrom(hash);
    return this.#hosts[(at + attempt) % this.#hosts.length];
  }

  /** The first place at or after the hash; past the last comes the first. */
  #firstFrom(hash: bigint): number {
    let low = 0;
    let high = this.#hashes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#hashes[middle] ?? 0n) < hash) low = middle + 1;
      else high = middle;
    }
    return low === this.#hashes.length ? 0 : low;
  }
}
