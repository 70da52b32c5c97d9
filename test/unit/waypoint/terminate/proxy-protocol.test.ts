/** What a ztunnel writes before a connection, read back; and everything else. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { readProxyHead } from "../../../../src/waypoint/terminate/proxy-protocol.ts";
import { encodeProxyHeader } from "../../../../src/ztunnel/proxy/proxy-protocol.ts";

const identity = "spiffe://cluster.local/ns/shop/sa/web";

function written(from: string, to: string, who = identity): Buffer {
  return encodeProxyHeader({
    source: { ip: ipOf(from), port: 4321 },
    destination: { ip: ipOf(to), port: 80 },
    identity: who,
  });
}

for (const [from, to] of [
  ["10.1.0.1", "10.96.1.1"],
  ["fd00::1", "fd00:96::1"],
] as const)
  test(`our ztunnel's head for ${to} is read, however it is split`, () => {
    const bytes = written(from, to);
    for (let length = 0; length < bytes.length; length++)
      assert.equal(readProxyHead(bytes.subarray(0, length)).kind, "more");
    assert.deepEqual(readProxyHead(Buffer.concat([bytes, Buffer.from("GET /")])), {
      kind: "head",
      length: bytes.length,
      source: { ip: from, port: 4321 },
      destination: { ip: to, port: 80 },
      identity,
    });
  });

test("a head without an identity has none, other fields are read past", () => {
  const bytes = written("10.1.0.1", "10.96.1.1");
  const other = Buffer.from(bytes);
  other[28] = 0xd1;
  const head = readProxyHead(other);
  assert.equal(head.kind === "head" && head.identity, undefined);
});

describe("refused", () => {
  const good = written("10.1.0.1", "10.96.1.1");
  const changed = (at: number, ...octets: readonly number[]): Buffer => {
    const bytes = Buffer.from(good);
    for (const [index, octet] of octets.entries()) bytes[at + index] = octet;
    return bytes;
  };
  const twice = Buffer.concat([good, good.subarray(28)]);
  twice.writeUInt16BE(twice.length - 16, 14);
  for (const [name, bytes] of [
    ["a request", Buffer.from("GET / HTTP/1.1\r\n")],
    ["version 1", Buffer.from("PROXY TCP4 10.1.0.1 10.96.1.1 4321 80\r\n")],
    ["another version", changed(12, 0x31)],
    ["LOCAL", changed(12, 0x20)],
    ["UDP", changed(13, 0x12)],
    ["no addresses", changed(13, 0x01)],
    ["mixed families", written("10.1.0.1", "fd00::1")],
    ["more than anybody needs", changed(14, 0xff, 0xff)],
    ["addresses that are cut short", changed(14, 0, 4)],
    ["a field that is cut short", changed(14, 0, 14)],
    ["an identity of another kind", written("10.1.0.1", "10.96.1.1", "https://shop/web")],
    ["two identities", twice],
  ] as const)
    test(name, () => {
      assert.equal(readProxyHead(bytes).kind, "bad");
    });
});

test("nothing that comes makes it throw, and no head is longer than what came", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(60), (noise, at) => {
      const bytes = Buffer.concat([written("10.1.0.1", "10.96.1.1").subarray(0, at), noise]);
      const head = readProxyHead(bytes);
      if (head.kind === "head") assert.ok(head.length <= bytes.length);
    }),
  );
});
