/** Questions from inside the process: mesh names, forwarded names, long answers, broken answers. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  type AskDns,
  decodeAddresses,
  encodeQuery,
  lookup,
  nameOf,
} from "../../../../src/ztunnel/dns/lookup.ts";
import { decode, FakeNameserver, query, reply, startServer, view } from "./fixture.ts";

describe("over a whole server", () => {
  let upstream: FakeNameserver;
  let running: Awaited<ReturnType<typeof startServer>>;
  before(async () => {
    upstream = await FakeNameserver.start();
    running = await startServer({
      view,
      resolver: () => ({ nameservers: [upstream.address], searchDomains: [] }),
    });
  });
  after(async () => {
    running.server.stop();
    await upstream.stop();
  });
  const ask: AskDns = (packet, protocol) => running.server.ask(packet, protocol);

  test("a mesh name in both families, in the order asked for", async () => {
    assert.deepEqual(await lookup(ask, "web", [4, 6]), ["10.96.0.7", "fd00::7"]);
    assert.deepEqual(await lookup(ask, "web.ns1.svc.cluster.local.", [6, 4]), [
      "fd00::7",
      "10.96.0.7",
    ]);
  });
  test("an answer that does not fit a datagram comes whole", async () => {
    const found = await lookup(ask, "big", [4]);
    assert.equal(new Set(found).size, 74);
  });
  test("a name of others is forwarded", async () => {
    assert.deepEqual(await lookup(ask, "example.com", [4]), ["192.0.2.1"]);
  });
});

test("no answer, a refusal, an answer of the other family: no addresses", async () => {
  assert.deepEqual(await lookup(() => Promise.resolve(undefined), "a", [4, 6]), []);
  const servFail = lookup((packet) => Promise.resolve(reply(packet, 2)), "a", [4]);
  assert.deepEqual(await servFail, []);
  const v4Only = lookup((packet) => Promise.resolve(reply(packet)), "a", [6]);
  assert.deepEqual(await v4Only, []);
});

describe("names", () => {
  for (const text of ["", ".", "a..b", `${"a".repeat(64)}.b`, `${"a.".repeat(127)}bb`])
    test(`${JSON.stringify(text.slice(0, 20))} is none`, async () => {
      assert.equal(nameOf(text), undefined);
      assert.deepEqual(await lookup(() => assert.fail("asked"), text, [4]), []);
    });
  test("the longest that there is", () => {
    assert.equal(nameOf(`${"a.".repeat(126)}b`)?.length, 127);
  });
});

test("the query is what others read", () => {
  const { id, flags, question, counts } = decode(encodeQuery(["web", "ns1"], 6, 7));
  assert.deepEqual([id, flags, question, counts], [7, 0x0100, "web.ns1. 28", [1, 0, 0, 0]]);
});

describe("broken answers", () => {
  const good = reply(query({ name: "a.example" }));
  test("the good one reads", () => {
    assert.deepEqual(decodeAddresses(good), { addresses: ["192.0.2.1"], truncated: false });
  });
  test("cut anywhere it reads as nothing, and never throws", () => {
    for (let length = 0; length < good.length; length++)
      assert.equal(decodeAddresses(good.subarray(0, length)), undefined, `${length}`);
  });
  test("a query is no answer", () => {
    assert.equal(decodeAddresses(query({ name: "a.example" })), undefined);
  });
});
