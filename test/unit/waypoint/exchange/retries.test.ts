/** Retries, deadlines and mirrors of forwarded requests. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fields } from "../../../../src/waypoint/http/message.ts";
import type { Forward, RetryPolicy } from "../../../../src/waypoint/model/route.ts";
import { chainOf, forwardTo, retryPolicy, routeOf } from "../../../support/waypoint/chains.ts";
import { ExchangeUnderTest } from "../../../support/waypoint/exchanges.ts";

const chainFor = (change: Partial<Forward>) =>
  chainOf([routeOf({ kind: "forward", forward: forwardTo("web", change) })]);
const retrying = (on: readonly string[], change: Partial<RetryPolicy> = {}) =>
  chainFor({ retry: retryPolicy(on, change) });

async function nextAttempt(under: ExchangeUnderTest): Promise<void> {
  await under.clock.advance(20);
}

test("a retry: a new endpoint, the same request, the permit given back", async () => {
  const under = new ExchangeUnderTest(retrying(["5xx"]), {
    fields: new Fields(["a", "b"]),
  }).start();
  const first = under.cluster.last;
  first.connected().answer(500, [], "no");
  assert.equal(under.cluster.requests.length, 1, "waits before it tries again");
  assert.equal(under.cluster.openRetries, 1);
  assert.equal(first.reason?.kind, "local");
  await nextAttempt(under);
  assert.equal(under.cluster.requests.length, 2);
  assert.deepEqual(under.cluster.picks[1]?.tried, [first.endpoint]);
  assert.deepEqual(under.cluster.last.head.fields.flat, first.head.fields.flat);
  under.cluster.last.answer(200, [], "yes");
  assert.deepEqual(under.outcome, [200, "via_upstream", ""]);
  assert.equal(under.sentBody, "yes");
  assert.equal(under.cluster.openRetries, 0);
  assert.equal(under.records[0]?.upstream?.attempts, 2);
});

/** Which answers are tried again by which condition. */
for (const [on, status, fields, again] of [
  ["5xx", 500, [], true],
  ["5xx", 499, [], false],
  ["gateway-error", 502, [], true],
  ["gateway-error", 504, [], true],
  ["gateway-error", 500, [], false],
  ["retriable-4xx", 409, [], true],
  ["retriable-4xx", 404, [], false],
  ["retriable-status-codes", 503, [], true],
  ["retriable-status-codes", 500, [], false],
  ["connect-failure", 503, [], false],
  ["unavailable", 200, ["grpc-status", "14"], true],
  ["unavailable", 200, ["grpc-status", "13"], false],
  ["cancelled", 200, ["grpc-status", "1"], true],
  ["deadline-exceeded", 200, ["grpc-status", "4"], true],
  ["resource-exhausted", 200, ["grpc-status", "8"], true],
  ["internal", 200, ["grpc-status", "13"], true],
  ["5xx", 503, ["x-envoy-ratelimited", "true"], false],
  ["envoy-ratelimited", 429, ["x-envoy-ratelimited", "true"], true],
] as const)
  test(`${on}: ${status} ${fields.join(" ")} is ${again ? "" : "not "}tried again`, async () => {
    const under = new ExchangeUnderTest(retrying([on])).start();
    under.cluster.last.answer(status, [...fields]);
    await nextAttempt(under);
    assert.equal(under.cluster.requests.length, again ? 2 : 1);
  });

/** Which failures are tried again by which condition. */
for (const [on, kind, again] of [
  ["reset", "connection-lost", true],
  ["5xx", "connection-lost", true],
  ["gateway-error", "remote-reset", true],
  ["connect-failure", "connection-lost", false],
  ["refused-stream", "refused", true],
  ["refused-stream", "remote-reset", false],
  ["reset-before-request", "remote-reset", false],
  ["retriable-status-codes", "connection-lost", false],
] as const)
  test(`${on}: ${kind} is ${again ? "" : "not "}tried again`, async () => {
    const under = new ExchangeUnderTest(retrying([on])).start();
    const { receiver } = under.cluster.last.connected();
    receiver.reset(kind === "connection-lost" ? { kind, detail: "", reused: true } : { kind });
    await nextAttempt(under);
    assert.equal(under.cluster.requests.length, again ? 2 : 1);
  });

test("connect-failure: no connection is tried again; an overflow never is", async () => {
  const refused = new ExchangeUnderTest(retrying(["connect-failure"])).start();
  refused.cluster.last.receiver.unavailable({ kind: "connect-failed", reason: "no" });
  await nextAttempt(refused);
  assert.equal(refused.cluster.requests.length, 2);
  const full = new ExchangeUnderTest(retrying(["connect-failure", "5xx", "reset"])).start();
  full.cluster.last.receiver.unavailable({ kind: "overflow", reason: "full" });
  await nextAttempt(full);
  assert.equal(full.cluster.requests.length, 1);
  assert.equal(full.outcome[2], "UO");
});

test("retriable headers", async () => {
  const retriableHeaders = [
    {
      name: "x-again",
      test: { kind: "present" as const, present: true },
      invert: false,
      treatMissingAsEmpty: false,
    },
  ];
  const under = new ExchangeUnderTest(
    retrying(["retriable-headers"], { retriableHeaders }),
  ).start();
  under.cluster.last.answer(200, ["x-again", "1"]);
  await nextAttempt(under);
  assert.equal(under.cluster.requests.length, 2);
});

test("the last attempt's answer goes down, flagged", async () => {
  const under = new ExchangeUnderTest(retrying(["5xx"], { attempts: 2 })).start();
  for (const round of [1, 2, 3]) {
    assert.equal(under.cluster.requests.length, round);
    under.cluster.last.answer(503, [], "no");
    await nextAttempt(under);
  }
  assert.equal(under.cluster.requests.length, 3);
  assert.deepEqual(under.outcome, [503, "via_upstream", "URX"]);
  assert.equal(under.sentBody, "no");
});

test("a breaker that is open stops retries, flagged", async () => {
  const under = new ExchangeUnderTest(retrying(["5xx"]));
  under.cluster.retriesAllowed = 0;
  under.start();
  under.cluster.last.answer(503);
  await nextAttempt(under);
  assert.deepEqual(under.outcome, [503, "via_upstream", "UO"]);
});

test("nothing is repeated once the client has seen some of the answer", async () => {
  const begun = new ExchangeUnderTest(retrying(["5xx", "reset"])).start();
  begun.cluster.last.receiver.head({ status: 200, fields: new Fields() }, false);
  begun.cluster.last.receiver.reset({ kind: "remote-reset" });
  await nextAttempt(begun);
  assert.equal(begun.cluster.requests.length, 1);
  const interim = new ExchangeUnderTest(retrying(["5xx", "reset"])).start();
  interim.cluster.last.receiver.interim({ status: 100, fields: new Fields() });
  interim.cluster.last.receiver.reset({ kind: "remote-reset" });
  await nextAttempt(interim);
  assert.equal(interim.cluster.requests.length, 1);
});

test("a body is repeated whole, with what came meanwhile, and its trailers", async () => {
  const under = new ExchangeUnderTest(retrying(["5xx"]), { method: "POST" }).start(false);
  under.play("one");
  under.cluster.last.answer(503);
  assert.equal(under.play("two"), false, "the rest waits for the next attempt");
  await nextAttempt(under);
  assert.equal(under.cluster.last.body_, "onetwo");
  assert.equal(under.resumed > 0, true);
  under.play("three");
  under.cluster.last.answer(503);
  under.exchange.end(new Fields(["t", "1"]));
  await nextAttempt(under);
  assert.equal(under.cluster.last.body_, "onetwothree");
  assert.deepEqual(under.cluster.last.trailers, ["t", "1"]);
  under.cluster.last.answer(200);
  assert.equal(under.outcome[0], 200);
});

test("a body too long to keep is not repeated", async () => {
  const under = new ExchangeUnderTest(retrying(["5xx"]), { method: "POST" }).start(false);
  for (let at = 0; at < 17; at++) under.play("x".repeat(65_536));
  under.exchange.end(undefined);
  under.cluster.last.answer(503);
  await nextAttempt(under);
  assert.equal(under.cluster.requests.length, 1);
  assert.equal(under.outcome[0], 503);
});

test("a client that goes away while a retry waits ends it", async () => {
  const under = new ExchangeUnderTest(retrying(["5xx"])).start();
  under.cluster.last.answer(503);
  under.exchange.reset({ kind: "connection-lost", detail: "", reused: false });
  await nextAttempt(under);
  assert.equal(under.cluster.requests.length, 1);
  assert.equal(under.cluster.openRetries, 0);
});

test("no endpoint for the retry", async () => {
  const under = new ExchangeUnderTest(retrying(["5xx"])).start();
  under.cluster.last.answer(503);
  under.cluster.endpoints = [];
  await nextAttempt(under);
  assert.deepEqual(under.outcome, [503, "no_healthy_upstream", "UH"]);
});

test("back-off doubles up to its maximum, fully jittered", async () => {
  const policy = { backoffBaseMs: 100, backoffMaxMs: 300, attempts: 3 };
  const under = new ExchangeUnderTest(retrying(["5xx"], policy)).start();
  under.draw = 0.5;
  for (const waitMs of [50, 100, 150]) {
    const before = under.cluster.requests.length;
    under.cluster.last.answer(503);
    await under.clock.advance(waitMs - 1);
    assert.equal(under.cluster.requests.length, before);
    await under.clock.advance(2);
    assert.equal(under.cluster.requests.length, before + 1);
  }
});

test("the route's timeout counts from the end of the request", async () => {
  const under = new ExchangeUnderTest(chainFor({ timeoutMs: 100 }), { method: "POST" }).start(
    false,
  );
  await under.clock.advance(500);
  under.exchange.end(undefined);
  await under.clock.advance(99);
  assert.equal(under.sent, undefined);
  await under.clock.advance(2);
  assert.deepEqual(under.outcome, [504, "response_timeout", "UT"]);
  assert.equal(under.sentBody, "upstream request timeout");
  assert.equal(under.cluster.last.reason?.kind, "local");
  assert.deepEqual(under.cluster.outcomes, [{ kind: "timeout" }]);
});

test("a timeout in the middle of an answer breaks it off", async () => {
  const under = new ExchangeUnderTest(chainFor({ timeoutMs: 100 })).start();
  under.cluster.last.receiver.head({ status: 200, fields: new Fields() }, false);
  await under.clock.advance(101);
  assert.deepEqual(under.outcome, [200, "response_timeout", "UT"]);
  assert.equal(under.sentReset?.kind, "local");
});

test("a timeout covers the wait before a retry, and an answer in time stops it", async () => {
  const slow = retryPolicy(["5xx"], { backoffBaseMs: 1000, backoffMaxMs: 1000 });
  const under = new ExchangeUnderTest(chainFor({ timeoutMs: 100, retry: slow })).start();
  under.draw = 0.9;
  under.cluster.last.answer(503);
  await under.clock.advance(101);
  assert.equal(under.outcome[0], 504);
  await under.clock.advance(2000);
  assert.equal(under.cluster.requests.length, 1);
  const fast = new ExchangeUnderTest(chainFor({ timeoutMs: 100 })).start();
  fast.cluster.last.answer(200);
  await fast.clock.advance(500);
  assert.deepEqual(fast.outcome, [200, "via_upstream", ""]);
});

test("a per-try timeout is tried again, and told when none is left", async () => {
  const policy = { perTryTimeoutMs: 50, attempts: 1 };
  const under = new ExchangeUnderTest(retrying(["5xx"], policy)).start();
  under.cluster.last.connected();
  assert.equal(under.cluster.last.head.fields.get("x-envoy-expected-rq-timeout-ms"), "50");
  await under.clock.advance(51);
  await nextAttempt(under);
  assert.equal(under.cluster.requests.length, 2);
  under.cluster.last.connected();
  await under.clock.advance(51);
  assert.deepEqual(under.outcome, [504, "upstream_per_try_timeout", "URX,UT"]);
});

test("an attempt that shows no life is tried again; in the middle of an answer it ends that", async () => {
  const policy = { perTryIdleTimeoutMs: 50, attempts: 1 };
  const under = new ExchangeUnderTest(retrying(["5xx"], policy)).start();
  under.cluster.last.connected();
  assert.equal(under.cluster.last.head.fields.has("x-envoy-expected-rq-timeout-ms"), false);
  await under.clock.advance(51);
  await nextAttempt(under);
  const { last } = under.cluster;
  last.connected();
  await under.clock.advance(40);
  last.receiver.head({ status: 200, fields: new Fields() }, false);
  for (let round = 0; round < 3; round++) {
    await under.clock.advance(40);
    last.receiver.body(Buffer.from("x"), 0, 1);
  }
  assert.equal(under.records.length, 0);
  await under.clock.advance(51);
  assert.deepEqual(under.outcome, [200, "upstream_per_try_idle_timeout", "UT"]);
  assert.equal(under.sentReset?.kind, "local");
  assert.equal(last.reason?.kind, "local");
  const silent = new ExchangeUnderTest(retrying(["5xx"], { ...policy, attempts: 0 })).start();
  silent.cluster.last.connected();
  await silent.clock.advance(51);
  assert.deepEqual(silent.outcome, [504, "upstream_per_try_idle_timeout", "URX,UT"]);
});

test("gRPC: the client's timeout, within what the route allows", () => {
  for (const [asked, max, expected] of [
    ["2S", 0, "2000"],
    ["2S", 1000, "1000"],
    [undefined, 1000, "1000"],
    ["100m", 1000, "100"],
    ["nonsense", 1000, "1000"],
    [undefined, 0, undefined],
  ] as const) {
    const fields = new Fields(["content-type", "application/grpc"]);
    if (asked !== undefined) fields.append("grpc-timeout", asked);
    const chain = chainFor({ timeoutMs: 5, maxGrpcTimeoutMs: max });
    const { head } = new ExchangeUnderTest(chain, { method: "POST", fields }).start(false).cluster
      .last;
    assert.equal(head.fields.get("x-envoy-expected-rq-timeout-ms"), expected);
    if (expected !== undefined) assert.equal(head.fields.get("grpc-timeout"), `${expected}m`);
  }
});

test("the listener's deadlines: idle stream, slow request, long stream", async () => {
  const route = [routeOf({ kind: "forward", forward: forwardTo("web") })];
  const idle = new ExchangeUnderTest(chainOf(route, { streamIdleTimeoutMs: 100 }), {
    method: "POST",
  }).start(false);
  await idle.clock.advance(80);
  idle.play("x");
  await idle.clock.advance(80);
  assert.equal(idle.sent, undefined);
  await idle.clock.advance(30);
  assert.deepEqual(idle.outcome, [408, "stream_idle_timeout", "SI"]);
  assert.equal(idle.cluster.last.reason?.kind, "local");
  const answering = new ExchangeUnderTest(chainOf(route, { streamIdleTimeoutMs: 100 })).start();
  answering.cluster.last.receiver.head({ status: 200, fields: new Fields() }, false);
  await answering.clock.advance(210);
  assert.deepEqual(answering.outcome, [200, "stream_idle_timeout", "SI"]);
  const slow = new ExchangeUnderTest(chainOf(route, { requestTimeoutMs: 100 }), {
    method: "POST",
  }).start(false);
  await slow.clock.advance(101);
  assert.deepEqual(slow.outcome, [408, "request_overall_timeout", ""]);
  const long = new ExchangeUnderTest(chainOf(route, { maxStreamDurationMs: 100 })).start();
  await long.clock.advance(101);
  assert.equal(long.outcome[1], "max_duration_timeout");
});

test("a route's idle timeout replaces the listener's", async () => {
  const route = [routeOf({ kind: "forward", forward: forwardTo("web", { idleTimeoutMs: 50 }) })];
  const under = new ExchangeUnderTest(chainOf(route, { streamIdleTimeoutMs: 1000 })).start();
  await under.clock.advance(51);
  assert.deepEqual(under.outcome, [504, "stream_idle_timeout", "SI"]);
});

const mirror = {
  cluster: "other",
  fraction: undefined,
  traceSampled: undefined,
  appendShadowSuffix: true,
};

test("a mirror gets the request as it goes up, body and all, and its answer goes nowhere", () => {
  const chain = chainFor({ mirrors: [mirror] });
  const under = new ExchangeUnderTest(chain, { method: "POST", authority: "web:80" }).start(false);
  under.play("body");
  under.exchange.end(undefined);
  const copy = under.other.last;
  assert.equal(copy.head.authority, "web-shadow:80");
  assert.deepEqual([copy.body_, copy.ended], ["body", true]);
  copy.answer(500, [], "mirrored");
  under.cluster.last.answer(200, [], "real");
  assert.deepEqual(under.outcome, [200, "via_upstream", ""]);
  assert.equal(under.sentBody, "real");
});

test("a mirror that fails, does not exist, is not drawn, hangs or does not keep up disturbs nobody", async () => {
  const chain = chainFor({ mirrors: [mirror, { ...mirror, cluster: "missing" }] });
  const failing = new ExchangeUnderTest(chain);
  failing.other.atOnce = ({ receiver }) =>
    receiver.unavailable({ kind: "connect-failed", reason: "" });
  failing.start();
  failing.cluster.last.answer(200);
  assert.equal(failing.outcome[0], 200);

  const fraction = { numerator: 10, denominator: 100 as const };
  const drawn = new ExchangeUnderTest(chainFor({ mirrors: [{ ...mirror, fraction }] }));
  drawn.draw = 0.5;
  drawn.start();
  assert.equal(drawn.other.requests.length, 0);

  const hanging = new ExchangeUnderTest(chain).start();
  hanging.cluster.last.answer(200);
  await hanging.clock.advance(61_000);
  assert.equal(hanging.other.last.reason?.kind, "local");

  const slow = new ExchangeUnderTest(chain, { method: "POST" }).start(false);
  slow.other.last.takesMore = false;
  for (let at = 0; at < 40; at++) assert.equal(slow.play("x".repeat(65_536)), true);
  assert.equal(slow.other.last.reason?.kind, "local");
  assert.ok(slow.other.last.body_.length < 2 * 1024 * 1024);
});

test("a request that is broken off takes its half mirror with it", () => {
  const under = new ExchangeUnderTest(chainFor({ mirrors: [mirror] }), { method: "POST" }).start(
    false,
  );
  under.play("half");
  under.exchange.reset({ kind: "connection-lost", detail: "", reused: false });
  assert.equal(under.other.last.reason?.kind, "local");
});
