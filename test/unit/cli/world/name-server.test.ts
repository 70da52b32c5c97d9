import assert from "node:assert/strict";
import { test } from "node:test";
import { answerQuery } from "../../../../src/cli/world/name-server.ts";

const addresses = new Map([["catalog.shop.svc.cluster.local", "10.96.0.11"]]);

function query(name: string, type: number): Buffer {
  const labels = name.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label)]));
  return Buffer.concat([
    Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    ...labels,
    Buffer.from([0, 0, type, 0, 1]),
  ]);
}

test("a known name has one address", () => {
  const answer = answerQuery(query("Catalog.shop.svc.cluster.local", 1), addresses);
  assert.ok(answer);
  assert.equal(answer.readUInt16BE(0), 0x1234);
  assert.equal(answer.readUInt16BE(2), 0x8180);
  assert.equal(answer.readUInt16BE(6), 1);
  assert.deepEqual([...answer.subarray(-4)], [10, 96, 0, 11]);
});

test("a known name without an address of that type is empty, an unknown one does not exist", () => {
  const empty = answerQuery(query("catalog.shop.svc.cluster.local", 28), addresses);
  assert.equal(empty?.readUInt16BE(2), 0x8180);
  assert.equal(empty?.readUInt16BE(6), 0);
  const unknown = answerQuery(query("nobody.example", 1), addresses);
  assert.equal(unknown?.readUInt16BE(2), 0x8183);
});

test("what cannot be read gets no answer", () => {
  const whole = query("catalog.shop.svc.cluster.local", 1);
  for (let length = 0; length < whole.length; length++)
    assert.equal(answerQuery(whole.subarray(0, length), addresses), undefined);
});
