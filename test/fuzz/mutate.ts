/** Mutations of octets, drawn from a generator that a seed determines. */

export interface Prng {
  /** A whole number from 0 up to, not including, `limit`. */
  below(limit: number): number;
}

/** Mulberry32: small, fast, and the same everywhere. */
export function prngOf(seed: number): Prng {
  let state = seed >>> 0;
  return {
    below(limit) {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
    },
  };
}

type Mutation = (prng: Prng, input: Buffer, sources: Sources) => Buffer;

interface Sources {
  readonly pool: readonly Buffer[];
  readonly dictionary: readonly Buffer[];
}

/** Octets at which lengths, signs and flags turn over. */
const edges: readonly number[] = [
  0, 1, 0x0f, 0x10, 0x1f, 0x20, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xfe, 0xff,
];
const edges32: readonly number[] = [0, 1, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

const mutations: readonly Mutation[] = [
  function flipBit(prng, input) {
    const at = prng.below(input.length);
    input[at] = (input[at] ?? 0) ^ (1 << prng.below(8));
    return input;
  },
  function setOctet(prng, input) {
    input[prng.below(input.length)] = prng.below(2) === 0 ? prng.below(256) : pick(prng, edges);
    return input;
  },
  function nudgeOctet(prng, input) {
    const at = prng.below(input.length);
    input[at] = (input[at] ?? 0) + prng.below(9) - 4;
    return input;
  },
  function set16(prng, input) {
    if (input.length < 2) return input;
    input.writeUInt16BE(pick(prng, edges32) & 0xffff, prng.below(input.length - 1));
    return input;
  },
  function set32(prng, input) {
    if (input.length < 4) return input;
    input.writeUInt32BE(pick(prng, edges32), prng.below(input.length - 3));
    return input;
  },
  function insertOctets(prng, input) {
    const fresh = Buffer.from(Array.from({ length: 1 + prng.below(8) }, () => prng.below(256)));
    return inserted(prng, input, fresh);
  },
  function repeatOctet(prng, input) {
    return inserted(prng, input, Buffer.alloc(1 + prng.below(300), pick(prng, edges)));
  },
  function insertWord(prng, input, { dictionary }) {
    return dictionary.length === 0 ? input : inserted(prng, input, pick(prng, dictionary));
  },
  function overwriteWord(prng, input, { dictionary }) {
    if (dictionary.length === 0) return input;
    pick(prng, dictionary).copy(input, prng.below(input.length));
    return input;
  },
  function remove(prng, input) {
    const [from, to] = range(prng, input);
    return Buffer.concat([input.subarray(0, from), input.subarray(to)]);
  },
  function duplicate(prng, input) {
    const [from, to] = range(prng, input);
    return inserted(prng, input, Buffer.from(input.subarray(from, to)));
  },
  function cutOff(prng, input) {
    return input.subarray(0, prng.below(input.length));
  },
  function spliceOther(prng, input, { pool }) {
    const other = pick(prng, pool);
    const [from, to] = range(prng, other);
    return inserted(prng, input, other.subarray(from, to));
  },
  function crossOver(prng, input, { pool }) {
    const other = pick(prng, pool);
    return Buffer.concat([
      input.subarray(0, prng.below(input.length + 1)),
      other.subarray(prng.below(other.length + 1)),
    ]);
  },
];

/** A member of the pool after one to eight mutations. */
export function mutate(
  prng: Prng,
  pool: readonly Buffer[],
  dictionary: readonly Buffer[],
  maxBytes: number,
): Buffer {
  let input: Buffer = Buffer.from(pick(prng, pool));
  for (let left = 1 << prng.below(4); left > 0; left--) {
    if (input.length === 0) input = Buffer.from([prng.below(256)]);
    input = pick(prng, mutations)(prng, input, { pool, dictionary }).subarray(0, maxBytes);
  }
  return input;
}

function pick<T>(prng: Prng, list: readonly T[]): T {
  return list[prng.below(list.length)] as T;
}

function range(prng: Prng, input: Buffer): readonly [from: number, to: number] {
  const from = prng.below(input.length + 1);
  return [from, Math.min(input.length, from + 1 + prng.below(64))];
}

function inserted(prng: Prng, input: Buffer, piece: Buffer): Buffer {
  const at = prng.below(input.length + 1);
  return Buffer.concat([input.subarray(0, at), piece, input.subarray(at)]);
}
