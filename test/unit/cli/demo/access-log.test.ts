import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type AccessEntry,
  parseAccessLine,
  policyVerdict,
} from "../../../../src/cli/demo/access-log.ts";
import { EntryRecord } from "../../../../src/cli/demo/record.ts";

const denied = {
  level: "error",
  time: "2026-11-21T09:00:00.000000Z",
  scope: "access",
  message: "connection complete",
  "src.addr": "10.10.1.11:40000",
  "src.workload": "orders",
  "src.identity": "spiffe://cluster.local/ns/shop/sa/orders",
  "dst.addr": "10.10.2.11:15008",
  "dst.hbone_addr": "10.10.2.11:5432",
  direction: "inbound",
  bytes_sent: 0,
  bytes_recv: 0,
  duration: "1ms",
  error: "connection closed due to policy rejection: explicitly denied by: shop/deny-orders",
};

test("a refused connection names its policy", () => {
  const entry = parseAccessLine("node2", JSON.stringify(denied));
  assert.ok(entry);
  assert.equal(entry.sourceWorkload, "orders");
  assert.equal(entry.hboneAddress, "10.10.2.11:5432");
  assert.equal(policyVerdict(entry), "shop/deny-orders");
});

test("other lines are no entries", () => {
  for (const line of [
    "",
    "ready",
    "{broken",
    JSON.stringify({ ...denied, scope: "xds" }),
    JSON.stringify({ ...denied, message: "connection opened" }),
    JSON.stringify({ ...denied, direction: "sideways" }),
  ])
    assert.equal(parseAccessLine("node1", line), undefined);
});

test("the other verdicts", () => {
  const verdict = (error: string | undefined): string | undefined => {
    const entry = parseAccessLine("node1", JSON.stringify({ ...denied, error }));
    return entry && policyVerdict(entry);
  };
  assert.equal(
    verdict("connection closed due to policy rejection: allow policies exist, but none allowed"),
    "no allow policy matches",
  );
  assert.equal(verdict("connection closed due to policy change"), "policy change");
  assert.equal(verdict("io error: reset"), undefined);
  assert.equal(verdict(undefined), undefined);
});

test("a record forgets its oldest entries and keeps its marks true", () => {
  const entry = parseAccessLine("node1", JSON.stringify(denied));
  assert.ok(entry);
  const record = new EntryRecord<AccessEntry>();
  for (let count = 0; count < 10_001; count++) record.add(entry);
  const mark = record.mark();
  assert.equal(mark, 10_001);
  record.add({ ...entry, node: "node9" });
  assert.deepEqual(
    record.since(mark).map(({ node }) => node),
    ["node9"],
  );
});
