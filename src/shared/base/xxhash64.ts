/**
 * xxHash64, as hash policies and consistent balancers of Envoy use it. 64-bit arithmetic on halves of 32 bits, because this
 * runs per request and a bigint for every step would cost an allocation each.
 */

/** The primes of the algorithm, high and low halves. */
const p1Hi = 0x9e3779b1;
const p1Lo = 0x85ebca87;
const p2Hi = 0xc2b2ae3d;
const p2Lo = 0x27d4eb4f;
const p3Hi = 0x165667b1;
const p3Lo = 0x9e3779f9;
const p4Hi = 0x85ebca77;
const p4Lo = 0xc2b2ae63;
const p5Hi = 0x27d4eb2f;
const p5Lo = 0x165667c5;

// The accumulator of the step under way; nothing here is re-entered.
let hi = 0;
let lo = 0;

function multiply(byHi: number, byLo: number): void {
  const a = lo >>> 16;
  const b = lo & 0xffff;
  const c = byLo >>> 16;
  const d = byLo & 0xffff;
  const bd = b * d;
  const middle = a * d + (bd >>> 16);
  const carry = (middle & 0xffff) + b * c;
  const high = a * c + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000);
  hi = (high + Math.imul(hi, byLo) + Math.imul(lo, byHi)) | 0;
  lo = (carry << 16) | (bd & 0xffff) | 0;
}

function add(byHi: number, byLo: number): void {
  const sum = (lo >>> 0) + (byLo >>> 0);
  hi = (hi + byHi + (sum > 0xffffffff ? 1 : 0)) | 0;
  lo = sum | 0;
}

function rotate(bits: number): void {
  const high = hi;
  const low = lo;
  if (bits < 32) {
    hi = (high << bits) | (low >>> (32 - bits));
    lo = (low << bits) | (high >>> (32 - bits));
  } else {
    const rest = bits - 32;
    hi = rest === 0 ? low : (low << rest) | (high >>> (32 - rest));
    lo = rest === 0 ? high : (high << rest) | (low >>> (32 - rest));
  }
}

/** value ^= value >>> bits, for 32 <= bits or less. */
function mixRight(bits: number): void {
  if (bits >= 32) {
    lo ^= hi >>> (bits - 32);
  } else {
    lo ^= (lo >>> bits) | (hi << (32 - bits));
    hi ^= hi >>> bits;
  }
}

/** One lane: round(accumulator, input), left in hi and lo. */
function round(
  accumulatorHi: number,
  accumulatorLo: number,
  inputHi: number,
  inputLo: number,
): void {
  hi = inputHi;
  lo = inputLo;
  multiply(p2Hi, p2Lo);
  add(accumulatorHi, accumulatorLo);
  rotate(31);
  multiply(p1Hi, p1Lo);
}

const lanes = new Int32Array(8);

function mergeLane(lane: number, sumHi: number, sumLo: number): void {
  round(0, 0, lanes[lane * 2] ?? 0, lanes[lane * 2 + 1] ?? 0);
  hi ^= sumHi;
  lo ^= sumLo;
  multiply(p1Hi, p1Lo);
  add(p4Hi, p4Lo);
}

function startLanes(seed: number): void {
  lanes.fill(0);
  hi = 0;
  lo = seed;
  add(p1Hi, p1Lo);
  add(p2Hi, p2Lo);
  keep(0);
  hi = 0;
  lo = seed;
  add(p2Hi, p2Lo);
  keep(1);
  lanes[5] = seed;
  hi = 0;
  lo = seed;
  // Minus the first prime: plus its complement.
  add(~p1Hi, ~p1Lo);
  add(0, 1);
  keep(3);
}

function keep(lane: number): void {
  lanes[lane * 2] = hi;
  lanes[lane * 2 + 1] = lo;
}

/** All full stripes of 32 octets; returns where the rest begins. The sum of the lanes is left in hi and lo. */
function stripes(bytes: Buffer, length: number, seed: number): number {
  startLanes(seed);
  let at = 0;
  for (; at + 32 <= length; at += 32) {
    for (let lane = 0; lane < 4; lane++) {
      const from = at + lane * 8;
      round(
        lanes[lane * 2] ?? 0,
        lanes[lane * 2 + 1] ?? 0,
        bytes.readInt32LE(from + 4),
        bytes.readInt32LE(from),
      );
      keep(lane);
    }
  }
  let sumHi = 0;
  let sumLo = 0;
  for (const [lane, bits] of laneRotations) {
    hi = lanes[lane * 2] ?? 0;
    lo = lanes[lane * 2 + 1] ?? 0;
    rotate(bits);
    add(sumHi, sumLo);
    sumHi = hi;
    sumLo = lo;
  }
  for (let lane = 0; lane < 4; lane++) mergeLane(lane, hi, lo);
  return at;
}

const laneRotations = [
  [0, 1],
  [1, 7],
  [2, 12],
  [3, 18],
] as const;

function rest(bytes: Buffer, start: number, length: number): void {
  let at = start;
  for (; at + 8 <= length; at += 8) {
    const beforeHi = hi;
    const beforeLo = lo;
    round(0, 0, bytes.readInt32LE(at + 4), bytes.readInt32LE(at));
    hi ^= beforeHi;
    lo ^= beforeLo;
    rotate(27);
    multiply(p1Hi, p1Lo);
    add(p4Hi, p4Lo);
  }
  if (at + 4 <= length) {
    const beforeHi = hi;
    const beforeLo = lo;
    hi = 0;
    lo = bytes.readInt32LE(at);
    multiply(p1Hi, p1Lo);
    hi ^= beforeHi;
    lo ^= beforeLo;
    rotate(23);
    multiply(p2Hi, p2Lo);
    add(p3Hi, p3Lo);
    at += 4;
  }
  for (; at < length; at++) {
    const beforeHi = hi;
    const beforeLo = lo;
    hi = 0;
    lo = bytes[at] ?? 0;
    multiply(p5Hi, p5Lo);
    hi ^= beforeHi;
    lo ^= beforeLo;
    rotate(11);
    multiply(p1Hi, p1Lo);
  }
}

function finish(): bigint {
  mixRight(33);
  multiply(p2Hi, p2Lo);
  mixRight(29);
  multiply(p3Hi, p3Lo);
  mixRight(32);
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
}

/** `seed` is below 2^32. */
export function xxHash64(text: string | Buffer, seed = 0): bigint {
  const bytes = typeof text === "string" ? Buffer.from(text, "utf8") : text;
  const { length } = bytes;
  let at = 0;
  if (length >= 32) {
    at = stripes(bytes, length, seed | 0);
  } else {
    hi = 0;
    lo = seed | 0;
    add(p5Hi, p5Lo);
  }
  add(0, length);
  rest(bytes, at, length);
  return finish();
}
