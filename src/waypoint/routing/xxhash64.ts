/**
 * xxHash64 (the algorithm's public description), which Envoy's hash policies and rings use. In halves of 32 bits, because
 * big integers would make a new object for each step.
 */

const P1H = 0x9e3779b1;
const P1L = 0x85ebca87;
const P2H = 0xc2b2ae3d;
const P2L = 0x27d4eb4f;
const P3H = 0x165667b1;
const P3L = 0x9e3779f9;
const P4H = 0x85ebca77;
const P4L = 0xc2b2ae63;
const P5H = 0x27d4eb2f;
const P5L = 0x165667c5;

/** The result of the last step: high and low half. */
let high = 0;
let low = 0;

function set(h: number, l: number): void {
  high = h;
  low = l;
}

function add(h: number, l: number): void {
  const sum = (low >>> 0) + (l >>> 0);
  high = (high + h + (sum > 0xffffffff ? 1 : 0)) | 0;
  low = sum | 0;
}

function multiply(h: number, l: number): void {
  const a0 = low & 0xffff;
  const a1 = low >>> 16;
  const b0 = l & 0xffff;
  const b1 = l >>> 16;
  const p00 = a0 * b0;
  const p01 = a0 * b1;
  const p10 = a1 * b0;
  const middle = (p00 >>> 16) + (p01 & 0xffff) + (p10 & 0xffff);
  const carried = a1 * b1 + (p01 >>> 16) + (p10 >>> 16) + (middle >>> 16);
  high = ((carried | 0) + Math.imul(high, l) + Math.imul(low, h)) | 0;
  low = (middle << 16) | (p00 & 0xffff);
}

/** By 1 to 31 bits. */
function rotate(bits: number): void {
  const h = high;
  high = (h << bits) | (low >>> (32 - bits));
  low = (low << bits) | (h >>> (32 - bits));
}

/** By 1 to 63 bits, but not 32. */
function shiftRightXor(bits: number): void {
  if (bits >= 32) {
    low ^= high >>> (bits - 32);
    return;
  }
  const h = high;
  high ^= h >>> bits;
  low ^= (low >>> bits) | (h << (32 - bits));
}

/** One lane of eight octets into an accumulator that stands in high and low. */
function round(h: number, l: number): void {
  const accumulatorHigh = high;
  const accumulatorLow = low;
  set(h, l);
  multiply(P2H, P2L);
  add(accumulatorHigh, accumulatorLow);
  rotate(31);
  multiply(P1H, P1L);
}

/** Four accumulators of the long form, as halves. */
const lanes = new Int32Array(8);

function stripes(bytes: Buffer, start: number, end: number): number {
  let at = start;
  for (; end - at >= 32; at += 32) {
    for (let lane = 0; lane < 4; lane++) {
      set(lanes[lane * 2] ?? 0, lanes[lane * 2 + 1] ?? 0);
      round(bytes.readInt32LE(at + lane * 8 + 4), bytes.readInt32LE(at + lane * 8));
      lanes[lane * 2] = high;
      lanes[lane * 2 + 1] = low;
    }
  }
  return at;
}

const laneRotations = [1, 7, 12, 18] as const;

function startLanes(seedHigh: number, seedLow: number): void {
  const start = (lane: number) => {
    lanes[lane * 2] = high;
    lanes[lane * 2 + 1] = low;
  };
  set(seedHigh, seedLow);
  add(P1H, P1L);
  add(P2H, P2L);
  start(0);
  set(seedHigh, seedLow);
  add(P2H, P2L);
  start(1);
  set(seedHigh, seedLow);
  start(2);
  // Minus P1 is plus its two's complement.
  add(~P1H, (~P1L + 1) | 0);
  start(3);
}

function joinLanes(): void {
  let sumHigh = 0;
  let sumLow = 0;
  for (const [lane, bits] of laneRotations.entries()) {
    set(lanes[lane * 2] ?? 0, lanes[lane * 2 + 1] ?? 0);
    rotate(bits);
    add(sumHigh, sumLow);
    sumHigh = high;
    sumLow = low;
  }
  for (let lane = 0; lane < 4; lane++) {
    set(0, 0);
    round(lanes[lane * 2] ?? 0, lanes[lane * 2 + 1] ?? 0);
    high ^= sumHigh;
    low ^= sumLow;
    multiply(P1H, P1L);
    add(P4H, P4L);
    sumHigh = high;
    sumLow = low;
  }
}

function tail(bytes: Buffer, from: number, end: number): void {
  let at = from;
  for (; end - at >= 8; at += 8) {
    const h = high;
    const l = low;
    set(0, 0);
    round(bytes.readInt32LE(at + 4), bytes.readInt32LE(at));
    high ^= h;
    low ^= l;
    rotate(27);
    multiply(P1H, P1L);
    add(P4H, P4L);
  }
  if (end - at >= 4) {
    mixIn(0, bytes.readInt32LE(at), P1H, P1L);
    rotate(23);
    multiply(P2H, P2L);
    add(P3H, P3L);
    at += 4;
  }
  for (; at < end; at++) {
    mixIn(0, bytes[at] ?? 0, P5H, P5L);
    rotate(11);
    multiply(P1H, P1L);
  }
}

/** The accumulator, exclusive-or a value times a prime. */
function mixIn(valueHigh: number, valueLow: number, primeHigh: number, primeLow: number): void {
  const h = high;
  const l = low;
  set(valueHigh, valueLow);
  multiply(primeHigh, primeLow);
  high ^= h;
  low ^= l;
}

function hashBytes(bytes: Buffer, end: number, seedHigh: number, seedLow: number): bigint {
  let at = 0;
  if (end >= 32) {
    startLanes(seedHigh, seedLow);
    at = stripes(bytes, 0, end);
    joinLanes();
  } else {
    set(seedHigh, seedLow);
    add(P5H, P5L);
  }
  add(0, end);
  tail(bytes, at, end);
  shiftRightXor(33);
  multiply(P2H, P2L);
  shiftRightXor(29);
  multiply(P3H, P3L);
  // A shift by 32 of the pair.
  low ^= high;
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

const scratch = Buffer.alloc(4096);

/** Of the octets that the text stands for on the wire: one per character, as header values are read. */
export function xxHash64(text: string, seed = 0n): bigint {
  const seedHigh = Number((seed >> 32n) & 0xffffffffn) | 0;
  const seedLow = Number(seed & 0xffffffffn) | 0;
  if (text.length <= scratch.length) {
    const end = scratch.write(text, 0, "latin1");
    return hashBytes(scratch, end, seedHigh, seedLow);
  }
  const bytes = Buffer.from(text, "latin1");
  return hashBytes(bytes, bytes.length, seedHigh, seedLow);
}
