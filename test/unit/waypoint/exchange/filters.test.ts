/** Filters around a request: their order, verdicts at once and later, what they may ask, and what stops everything. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type {
  FilterVerdict,
  HttpFilter,
  RequestContext,
} from "../../../../src/waypoint/filters/filter.ts";
import { Fields } from "../../../../src/waypoint/http/message.ts";
import { chainOf, forwardTo, routeOf } from "../../../support/waypoint/chains.ts";
import { ExchangeUnderTest } from "../../../support/waypoint/exchanges.ts";
import { settled } from "../../../support/waypoint/http1.ts";

const routes = [routeOf({ kind: "forward", forward: forwardTo("web") })];
const proceed: FilterVerdict = { kind: "continue" };
const deny: FilterVerdict = {
  kind: "reply",
  reply: {
    status: 403,
    body: "RBAC: access denied",
    details: "rbac_access_denied_matched_policy[none]",
    flags: [],
  },
};

function chainWith(...filters: HttpFilter[]) {
  return chainOf(routes, {}, { filters });
}

test("filters see the request in order and the answer in reverse", () => {
  const seen: string[] = [];
  const filter = (name: string): HttpFilter => ({
    name,
    onRequest: () => {
      seen.push(`${name} request`);
      return proceed;
    },
    onResponse: (_context, head) => {
      seen.push(`${name} ${head.status}`);
      head.fields.append("x-by", name);
    },
  });
  const under = new ExchangeUnderTest(chainWith(filter("a"), filter("b"))).start();
  under.cluster.last.answer(200);
  assert.deepEqual(seen, ["a request", "b request", "b 200", "a 200"]);
  assert.equal(under.sent?.fields.joined("x-by"), "b,a");
});

test("a reply ends the request there; only filters before it see the answer", () => {
  const seen: string[] = [];
  const watch = (name: string): HttpFilter => ({ name, onResponse: () => void seen.push(name) });
  const refuse: HttpFilter = {
    name: "rbac",
    onRequest: () => deny,
    onResponse: () => void seen.push("rbac"),
  };
  const under = new ExchangeUnderTest(chainWith(watch("a"), refuse, watch("c"))).start();
  assert.deepEqual(under.outcome, [403, "rbac_access_denied_matched_policy[none]", ""]);
  assert.equal(under.sentBody, "RBAC: access denied");
  assert.deepEqual(seen, ["a"]);
  assert.equal(under.cluster.requests.length, 0);
});

test("a filter that throws or rejects lets nothing through", async () => {
  const thrower: HttpFilter = {
    name: "broken",
    onRequest: () => {
      throw new Error("oops");
    },
  };
  const rejecter: HttpFilter = {
    name: "broken",
    onRequest: () => Promise.reject(new Error("oops")),
  };
  for (const filter of [thrower, rejecter]) {
    const under = new ExchangeUnderTest(chainWith(filter)).start();
    await settled();
    assert.deepEqual(under.outcome, [500, "filter_failed", ""]);
    assert.equal(under.records[0]?.decisions[0]?.reason, "oops");
    assert.equal(under.cluster.requests.length, 0);
  }
});

test("a body that comes while a filter thinks waits, and goes up whole", async () => {
  let decide: (verdict: FilterVerdict) => void = () => undefined;
  const slow: HttpFilter = {
    name: "slow",
    onRequest: () =>
      new Promise((resolve) => {
        decide = resolve;
      }),
  };
  const under = new ExchangeUnderTest(chainWith(slow), { method: "POST" }).start(false);
  assert.equal(under.play("one"), false);
  under.play("two");
  under.exchange.end(new Fields(["t", "1"]));
  decide(proceed);
  await settled();
  assert.equal(under.cluster.last.body_, "onetwo");
  assert.deepEqual(under.cluster.last.trailers, ["t", "1"]);
});

test("a client that goes away while a filter thinks: told by the signal, nothing follows", async () => {
  let context: RequestContext | undefined;
  let decide: (verdict: FilterVerdict) => void = () => undefined;
  const slow: HttpFilter = {
    name: "slow",
    onRequest: (given) => {
      context = given;
      return new Promise((resolve) => {
        decide = resolve;
      });
    },
  };
  const under = new ExchangeUnderTest(chainWith(slow)).start();
  const signal = context?.over;
  assert.equal(signal?.aborted, false);
  under.exchange.reset({ kind: "connection-lost", detail: "", reused: false });
  assert.equal(signal?.aborted, true);
  decide(proceed);
  await settled();
  assert.equal(under.cluster.requests.length, 0);
  assert.deepEqual(under.outcome, [0, "downstream_remote_disconnect", "DC"]);
});

test("a filter may see the body's beginning; all of it still goes up", async () => {
  const buffered: (readonly [string, boolean])[] = [];
  const reader: HttpFilter = {
    name: "reader",
    onRequest: async (context) => {
      const { bytes, complete } = await context.bufferBody(4);
      buffered.push([bytes.toString(), complete]);
      return proceed;
    },
  };
  const under = new ExchangeUnderTest(chainWith(reader), { method: "POST" }).start(false);
  assert.equal(under.play("abc"), true, "more is wanted");
  await settled();
  assert.equal(under.play("def"), false);
  await settled();
  under.exchange.end(undefined);
  assert.deepEqual(buffered, [["abcd", false]]);
  assert.equal(under.cluster.last.body_, "abcdef");
  assert.equal(under.cluster.last.ended, true);

  const short = new ExchangeUnderTest(chainWith(reader), { method: "POST" }).start(false);
  short.play("ab");
  short.exchange.end(undefined);
  await settled();
  assert.deepEqual(buffered[1], ["ab", true]);
  new ExchangeUnderTest(chainWith(reader)).start();
  await settled();
  assert.deepEqual(buffered[2], ["", true]);
});

test("a route is chosen anew after a filter has changed what it depends on", () => {
  const two = [
    routeOf(
      { kind: "direct", status: 201, body: "" },
      { path: { kind: "prefix", value: "/new", caseSensitive: true }, name: "new" },
    ),
    routeOf({ kind: "direct", status: 200, body: "" }),
  ];
  const change: HttpFilter = {
    name: "change",
    onRequest: (context) => {
      assert.equal(context.route?.name, "default");
      context.head.path = "/new";
      context.clearRoute();
      return proceed;
    },
  };
  const under = new ExchangeUnderTest(chainOf(two, {}, { filters: [change] })).start();
  assert.equal(under.outcome[0], 201);
  assert.equal(under.records[0]?.routeName, "new");
});

test("flags, metadata and notes reach the record", () => {
  const filter: HttpFilter = {
    name: "rbac",
    onRequest: (context) => {
      context.addFlag("DI");
      context.setMetadata("a", { x: 1 });
      context.setMetadata("a", { y: 2 });
      context.note({ filter: "rbac", outcome: "allowed", reason: "policy p" });
      return proceed;
    },
  };
  const under = new ExchangeUnderTest(chainWith(filter)).start();
  under.cluster.last.answer(200);
  const [record] = under.records;
  assert.deepEqual(record?.flags, ["DI"]);
  assert.deepEqual(record?.metadata.get("a"), { x: 1, y: 2 });
  assert.equal(record?.decisions[0]?.outcome, "allowed");
});

test("internal redirects: followed as often as allowed, through the filters again", async () => {
  let asked = 0;
  const count: HttpFilter = {
    name: "count",
    onRequest: () => {
      asked++;
      return proceed;
    },
  };
  const internalRedirect = { maxRedirects: 1, statuses: [302], allowCrossScheme: false };
  const chain = chainOf(
    [routeOf({ kind: "forward", forward: forwardTo("web", { internalRedirect }) })],
    {},
    { filters: [count] },
  );
  const under = new ExchangeUnderTest(chain).start();
  under.cluster.last.answer(302, ["location", "http://elsewhere/x?y"], "moved");
  await settled();
  assert.equal(under.cluster.requests.length, 2);
  const { head } = under.cluster.last;
  assert.deepEqual([head.authority, head.path], ["elsewhere", "/x?y"]);
  assert.equal(head.fields.get("x-envoy-original-url"), "http://web/");
  assert.equal(asked, 2);
  under.cluster.last.answer(302, ["location", "http://third/"], "moved again");
  assert.deepEqual(under.outcome, [302, "via_upstream", ""]);
});
