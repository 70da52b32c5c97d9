import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { xxHash64 } from "../../../../src/waypoint/routing/xxhash64.ts";

test("the published values", () => {
  assert.equal(xxHash64("").toString(16), "ef46db3751d8e999");
  assert.equal(xxHash64("a").toString(16), "d24ec4f1a98c6e5b");
  assert.equal(xxHash64("abc").toString(16), "44bc2cf5ad770999");
  const text = "Nobody inspects the spammish repetition";
  assert.equal(xxHash64(text).toString(16), "fbcea83c8a378bf1");
});

const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;

const u64 = (value: bigint) => BigInt.asUintN(64, value);
const rotate = (value: bigint, bits: bigint) => u64(value << bits) | (value >> (64n - bits));
const round = (accumulator: bigint, lane: bigint) =>
  u64(rotate(u64(accumulator + lane * P2), 31n) * P1);

/** The description of the algorithm, with big integers. */
function described(bytes: Buffer, seed: bigint): bigint {
  let at = 0;
  let hash = u64(seed + P5);
  if (bytes.length >= 32) {
    const lanes = [u64(seed + P1 + P2), u64(seed + P2), seed, u64(seed - P1)];
    for (; bytes.length - at >= 32; at += 32)
      for (const [index, lane] of lanes.entries())
        lanes[index] = round(lane, bytes.readBigUInt64LE(at + index * 8));
    const bits = [1n, 7n, 12n, 18n];
    hash = u64(lanes.reduce((sum, lane, index) => sum + rotate(lane, bits[index] ?? 0n), 0n));
    for (const lane of lanes) hash = u64((hash ^ round(0n, lane)) * P1 + P4);
  }
  hash = u64(hash + BigInt(bytes.length));
  for (; bytes.length - at >= 8; at += 8)
    hash = u64(rotate(hash ^ round(0n, bytes.readBigUInt64LE(at)), 27n) * P1 + P4);
  if (bytes.length - at >= 4) {
    hash = u64(rotate(hash ^ u64(BigInt(bytes.readUInt32LE(at)) * P1), 23n) * P2 + P3);
    at += 4;
  }
  for (; at < bytes.length; at++)
    hash = u64(rotate(hash ^ u64(BigInt(bytes[at] ?? 0) * P5), 11n) * P1);
  hash = u64((hash ^ (hash >> 33n)) * P2);
  hash = u64((hash ^ (hash >> 29n)) * P3);
  return hash ^ (hash >> 32n);
}

test("any octets and seeds give what the description says", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      (octets, seed) => {
        const bytes = Buffer.from(octets);
        assert.equal(xxHash64(bytes.toString("latin1"), seed), described(bytes, seed));
      },
    ),
    { numRuns: 300 },
  );
});

test("a text longer than the scratch space", () => {
  const text = "x".repeat(10_000);
  assert.equal(xxHash64(text), described(Buffer.from(text), 0n));
});
