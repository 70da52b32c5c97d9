import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { xxHash64 } from "../../../../src/shared/base/xxhash64.ts";

const p1 = 0x9e3779b185ebca87n;
const p2 = 0xc2b2ae3d27d4eb4fn;
const p3 = 0x165667b19e3779f9n;
const p4 = 0x85ebca77c2b2ae63n;
const p5 = 0x27d4eb2f165667c5n;
const u = (value: bigint): bigint => BigInt.asUintN(64, value);
const rotate = (value: bigint, bits: bigint): bigint =>
  u((value << bits) | (value >> (64n - bits)));
const round = (sum: bigint, input: bigint): bigint => u(rotate(u(sum + input * p2), 31n) * p1);

function stripes(bytes: Buffer, seed: bigint): bigint {
  const lanes = [u(seed + p1 + p2), u(seed + p2), seed, u(seed - p1)];
  for (let at = 0; at + 32 <= bytes.length; at += 32)
    for (const lane of lanes.keys())
      lanes[lane] = round(lanes[lane] ?? 0n, bytes.readBigUInt64LE(at + lane * 8));
  let hash = 0n;
  for (const [lane, bits] of [1n, 7n, 12n, 18n].entries())
    hash = u(hash + rotate(lanes[lane] ?? 0n, bits));
  for (const lane of lanes) hash = u((hash ^ round(0n, lane)) * p1 + p4);
  return hash;
}

/** The algorithm once more, straight from its description, in bigints. */
function reference(bytes: Buffer, seed: bigint): bigint {
  let at = bytes.length - (bytes.length % 32);
  let hash = at > 0 ? stripes(bytes, seed) : u(seed + p5);
  hash = u(hash + BigInt(bytes.length));
  for (; at + 8 <= bytes.length; at += 8)
    hash = u(rotate(hash ^ round(0n, bytes.readBigUInt64LE(at)), 27n) * p1 + p4);
  if (at + 4 <= bytes.length) {
    hash = u(rotate(hash ^ u(BigInt(bytes.readUInt32LE(at)) * p1), 23n) * p2 + p3);
    at += 4;
  }
  for (; at < bytes.length; at++) hash = u(rotate(hash ^ u(BigInt(bytes[at] ?? 0) * p5), 11n) * p1);
  hash = u((hash ^ (hash >> 33n)) * p2);
  hash = u((hash ^ (hash >> 29n)) * p3);
  return hash ^ (hash >> 32n);
}

suite("xxHash64", () => {
  test("published values", () => {
    assert.equal(xxHash64(""), 0xef46db3751d8e999n);
    assert.equal(xxHash64("a"), 0xd24ec4f1a98c6e5bn);
    assert.equal(xxHash64("abc"), 0x44bc2cf5ad770999n);
    // Envoy's own test of its hash.
    assert.equal(xxHash64("foo"), 3728699739546630719n);
    assert.equal(xxHash64("bar"), 5234164152756840025n);
  });

  test("equals the plain reading of the algorithm for any octets and seed", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.nat({ max: 0xffffffff }),
        (octets, seed) => {
          const bytes = Buffer.from(octets);
          assert.equal(xxHash64(bytes, seed), reference(bytes, BigInt(seed)));
        },
      ),
      { numRuns: 300 },
    );
  });
});
