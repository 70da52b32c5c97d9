/** Maglev (Eisenbud et al., NSDI 2016, section 3.4) with weights, filled as Envoy fills it. */
import { xxHash64 } from "../../../shared/base/xxhash64.ts";
import type { Host } from "./host.ts";
import type { HostShare } from "./normalized.ts";
import type { HashTable } from "./ring-hash.ts";

interface Entry {
  readonly index: number;
  readonly skip: number;
  readonly weight: number;
  at: number;
  target: number;
}

export function buildMaglev<H extends Host>(
  shares: readonly HostShare<H>[],
  size: number,
  keyOf: (host: H) => string,
): HashTable<H> {
  if (shares.length === 0) return { find: () => undefined };
  const most = shares.reduce((max, { share }) => Math.max(max, share), 0);
  // Whoever comes first wins a place that two want: in the order of keys, or the order of endpoints would decide.
  const sorted = shares
    .map(({ host, share }) => ({ host, share, key: keyOf(host) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const entries = sorted.map(({ key, share }, index): Entry => {
    return {
      index,
      at: Number(xxHash64(key) % BigInt(size)),
      skip: Number(xxHash64(key, 1) % BigInt(size - 1)) + 1,
      weight: share,
      target: 0,
    };
  });
  const table = new Int32Array(size).fill(-1);
  let filled = 0;
  for (let turn = 1; filled < size; turn++)
    for (const entry of entries) {
      // The heaviest takes a place in every turn, the others in their proportion to it.
      if (turn * entry.weight < entry.target || filled === size) continue;
      entry.target += most;
      takePlace(table, entry);
      filled++;
    }
  return new MaglevTable(
    table,
    sorted.map(({ host }) => host),
  );
}

/** The next free one in the host's own order of preference. */
function takePlace(table: Int32Array, entry: Entry): void {
  const { length } = table;
  while (table[entry.at] !== -1) entry.at = (entry.at + entry.skip) % length;
  table[entry.at] = entry.index;
  entry.at = (entry.at + entry.skip) % length;
}

const allOnes = 0xffff_ffff_ffff_ffffn;

class MaglevTable<H extends Host> implements HashTable<H> {
  readonly #table: Int32Array;
  readonly #size: bigint;
  readonly #hosts: readonly H[];

  constructor(table: Int32Array, hosts: readonly H[]) {
    this.#table = table;
    this.#size = BigInt(table.length);
    this.#hosts = hosts;
  }

  find(hash: bigint, attempt: number): H | undefined {
    // Envoy's way to another place for the same hash.
    const varied = attempt === 0 ? hash : hash ^ (allOnes - BigInt(attempt) + 1n);
    return this.#hosts[this.#table[Number(varied % this.#size)] ?? 0];
  }
}
