/** Deterministic "random" numbers that together see every choice of some weight: the Halton sequence, a base for each call. */

const BASES = [2, 3, 5, 7, 11, 13];

/** How often a decision with chance in it is asked. */
export const DRAWS = 32;

function radicalInverse(base: number, index: number): number {
  let value = 0;
  let digit = 1 / base;
  for (let left = index; left > 0; left = Math.floor(left / base)) {
    value += (left % base) * digit;
    digit /= base;
  }
  return value;
}

/** A source of numbers from 0 to 1 for the draw with this index. */
export function drawer(index: number): () => number {
  let call = 0;
  return () => radicalInverse(BASES[call++ % BASES.length] ?? 2, index);
}
