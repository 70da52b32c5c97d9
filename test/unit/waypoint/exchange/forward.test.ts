/** A request to a cluster and its answer back: what is changed on the way, what is logged, what breaks and how. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fields } from "../../../../src/waypoint/http/message.ts";
import { chainOf, forwardTo, routeOf } from "../../../support/waypoint/chains.ts";
import { ExchangeUnderTest } from "../../../support/waypoint/exchanges.ts";
import { compileFormatForTest } from "../../../support/waypoint/formats.ts";
import { endpointAt } from "../../../support/waypoint/static-clusters.ts";

const chain = chainOf([routeOf({ kind: "forward", forward: forwardTo("web") })]);

test("a request goes up with the hop's fields, its answer comes back with ours", () => {
  const under = new ExchangeUnderTest(chain, { fields: new Fields(["a", "b"]) }).start();
  const { last } = under.cluster;
  assert.deepEqual(last.head.fields.flat, ["a", "b", "x-forwarded-proto", "http"]);
  assert.equal(last.ended, true);
  last.connected().answer(200, ["x-app", "1", "server", "app", "content-length", "2"], "ok");
  assert.equal(under.sent?.status, 200);
  const { fields } = under.sent ?? { fields: new Fields() };
  assert.deepEqual(fields.flat.slice(0, 6), [
    "x-app",
    "1",
    "server",
    "istio-envoy",
    "content-length",
    "2",
  ]);
  assert.equal(fields.get("x-envoy-upstream-service-time"), "0");
  assert.match(fields.get("date") ?? "", /GMT$/);
  assert.equal(under.sentBody, "ok");
  assert.equal(under.sentEnd, true);
  assert.deepEqual(under.outcome, [200, "via_upstream", ""]);
  const [record] = under.records;
  assert.equal(record?.bytesSent, 2);
  assert.equal(record?.routeName, "default");
  assert.equal(record?.upstream?.cluster, "web");
  assert.equal(record?.upstream?.hostText, "127.0.0.1:1");
  assert.equal(record?.upstream?.localAddress, "127.0.0.1:9");
  assert.deepEqual(under.cluster.outcomes, [
    { kind: "status", status: 200, grpcStatus: undefined },
  ]);
});

test("instructions to the proxy from outside, and fields that are ours to write, go no further", () => {
  const fields = new Fields([
    "x-envoy-retry-on",
    "5xx",
    "x-envoy-upstream-rq-timeout-ms",
    "1",
    "x-envoy-internal",
    "true",
    "x-forwarded-client-cert",
    "By=a",
    "x-envoy-max-retries",
    "9",
    "referer",
    "nonsense",
    "x-forwarded-proto",
    "https",
    "x-envoy-decorator-operation",
    "op",
    "x-other",
    "1",
  ]);
  const under = new ExchangeUnderTest(chain, { fields }).start();
  assert.deepEqual(under.cluster.last.head.fields.flat, [
    "x-forwarded-proto",
    "https",
    "x-envoy-decorator-operation",
    "op",
    "x-other",
    "1",
  ]);
});

test("expected timeout, original path, host and headers as the route says", () => {
  const forward = forwardTo("web", {
    timeoutMs: 3000,
    pathRewrite: { kind: "prefix", replacement: "/new" },
    hostRewrite: { kind: "literal", value: "inner" },
  });
  const route = routeOf(
    { kind: "forward", forward },
    {
      path: { kind: "prefix", value: "/old", caseSensitive: true },
      requestHeaders: {
        remove: ["gone"],
        set: [
          {
            name: "x-set",
            value: compileFormatForTest("v"),
            mode: "overwrite-or-add",
            keepEmptyValue: false,
          },
        ],
      },
      responseHeaders: {
        remove: ["x-app"],
        set: [
          {
            name: "x-ours",
            value: compileFormatForTest("1"),
            mode: "append-or-add",
            keepEmptyValue: false,
          },
        ],
      },
    },
  );
  const fields = new Fields(["gone", "1", "x-set", "old"]);
  const under = new ExchangeUnderTest(chainOf([route]), { fields, path: "/old/x?q" }).start();
  const { head } = under.cluster.last;
  assert.equal(head.path, "/new/x?q");
  assert.equal(head.authority, "inner");
  assert.equal(head.fields.get("x-envoy-expected-rq-timeout-ms"), "3000");
  assert.equal(head.fields.get("x-envoy-original-path"), "/old/x?q");
  assert.equal(head.fields.get("x-set"), "v");
  assert.equal(head.fields.has("gone"), false);
  under.cluster.last.answer(200, ["x-app", "1"]);
  assert.equal(under.sent?.fields.get("x-ours"), "1");
  assert.equal(under.sent?.fields.has("x-app"), false);
  assert.equal(under.records[0]?.http?.originalPath, "/old/x?q");
});

test("suppressed: no fields of Envoy's own", () => {
  const quiet = chainOf(
    [routeOf({ kind: "forward", forward: forwardTo("web", { timeoutMs: 9 }) })],
    {
      suppressEnvoyHeaders: true,
    },
  );
  const under = new ExchangeUnderTest(quiet).start();
  under.cluster.last.answer(200);
  const names = [...under.cluster.last.head.fields.flat, ...(under.sent?.fields.flat ?? [])];
  assert.equal(
    names.some((name) => name.startsWith("x-envoy")),
    false,
  );
});

test("a body flows with back-pressure both ways", () => {
  const under = new ExchangeUnderTest(chain, { method: "POST" }).start(false);
  const { last } = under.cluster;
  assert.equal(under.play("one"), true);
  last.takesMore = false;
  assert.equal(under.play("two"), false);
  last.receiver.writable();
  assert.equal(under.resumed, 1);
  under.exchange.end(new Fields(["t", "1"]));
  assert.equal(last.body_, "onetwo");
  assert.deepEqual(last.trailers, ["t", "1"]);
  last.receiver.head({ status: 200, fields: new Fields() }, false);
  under.takesMore = false;
  assert.equal(last.receiver.body(Buffer.from("abc"), 0, 3), false);
  under.exchange.writable();
  assert.equal(last.resumed, 1);
  last.receiver.end(new Fields(["grpc-status", "5"]));
  assert.deepEqual(under.sentTrailers, ["grpc-status", "5"]);
  assert.equal(under.records[0]?.bytesReceived, 6);
  assert.equal(under.records[0]?.http?.grpcStatus, "5");
});

test("no route, no cluster, no endpoint", () => {
  const none = new ExchangeUnderTest(chainOf([])).start();
  assert.deepEqual(none.outcome, [404, "route_not_found", "NR"]);
  const unknown = chainOf([
    routeOf({ kind: "forward", forward: forwardTo("missing", { clusterNotFoundStatus: 500 }) }),
  ]);
  assert.deepEqual(new ExchangeUnderTest(unknown).start().outcome, [
    500,
    "cluster_not_found",
    "NC",
  ]);
  const empty = new ExchangeUnderTest(chain);
  empty.cluster.endpoints = [];
  assert.deepEqual(empty.start().outcome, [503, "no_healthy_upstream", "UH"]);
  assert.equal(empty.sentBody, "no healthy upstream");
});

test("direct answers and redirects", () => {
  const direct = new ExchangeUnderTest(
    chainOf([routeOf({ kind: "direct", status: 418, body: "tea" })]),
  ).start();
  assert.deepEqual(direct.outcome, [418, "direct_response", ""]);
  assert.deepEqual(
    [direct.sentBody, direct.sent?.fields.get("content-type")],
    ["tea", "text/plain"],
  );
  const redirect = {
    status: 301 as const,
    scheme: undefined,
    httpsRedirect: false,
    host: "new.example",
    port: undefined,
    path: { kind: "none" as const },
    stripQuery: false,
  };
  const moved = new ExchangeUnderTest(chainOf([routeOf({ kind: "redirect", redirect })]), {
    path: "/a?b",
  }).start();
  assert.equal(moved.sent?.fields.get("location"), "http://new.example/a?b");
  assert.deepEqual(moved.outcome, [301, "direct_response", ""]);
});

test("a route's changes of answers hold for what it answers itself", () => {
  const responseHeaders = {
    remove: [],
    set: [
      {
        name: "x-kind",
        value: compileFormatForTest("teapot"),
        mode: "append-or-add" as const,
        keepEmptyValue: false,
      },
    ],
  };
  const direct = new ExchangeUnderTest(
    chainOf([routeOf({ kind: "direct", status: 418, body: "tea" }, { responseHeaders })]),
  ).start();
  assert.equal(direct.sent?.fields.get("x-kind"), "teapot");
  assert.equal(direct.sent?.fields.get("content-length"), "3");
});

/** How an attempt ends, and what the client and the log see: before the answer, and in its middle. */
for (const [name, end, status, flag, details, body] of [
  [
    "connection lost",
    { kind: "connection-lost", detail: "", reused: false },
    503,
    "UC",
    "connection_termination",
    "connection termination",
  ],
  ["remote reset", { kind: "remote-reset" }, 503, "UR", "remote_reset", "remote reset"],
  [
    "refused",
    { kind: "refused" },
    503,
    "UR",
    "remote_refused_stream_reset",
    "remote refused stream reset",
  ],
  [
    "garbage",
    { kind: "protocol-error", detail: "x" },
    502,
    "UPE",
    "protocol_error",
    "protocol error",
  ],
] as const)
  test(`an attempt that ends by: ${name}`, () => {
    const before = new ExchangeUnderTest(chain).start();
    before.cluster.last.connected().receiver.reset(end);
    assert.deepEqual(before.outcome, [
      status,
      `upstream_reset_before_response_started{${details}}`,
      flag,
    ]);
    assert.equal(
      before.sentBody,
      `upstream connect error or disconnect/reset before headers. reset reason: ${body}`,
    );
    assert.deepEqual(before.cluster.outcomes, [{ kind: "reset" }]);
    const after = new ExchangeUnderTest(chain).start();
    after.cluster.last.receiver.head({ status: 200, fields: new Fields() }, false);
    after.cluster.last.receiver.reset(end);
    assert.deepEqual(after.outcome, [
      200,
      `upstream_reset_after_response_started{${details}}`,
      flag,
    ]);
    assert.equal(after.sentReset?.kind, "local");
    assert.equal(after.sentEnd, false);
  });

test("no connection: refused, too slow, too many", () => {
  for (const [kind, flag, details] of [
    ["connect-failed", "UF", "remote_connection_failure|ECONNREFUSED"],
    ["tls-failed", "UF", "remote_connection_failure|ECONNREFUSED"],
    ["connect-timeout", "UF", "connection_timeout|ECONNREFUSED"],
    ["overflow", "UO", "overflow"],
  ] as const) {
    const under = new ExchangeUnderTest(chain).start();
    under.cluster.last.receiver.unavailable({ kind, reason: "ECONNREFUSED" });
    assert.deepEqual(under.outcome, [
      503,
      `upstream_reset_before_response_started{${details}}`,
      flag,
    ]);
    assert.equal(under.sent?.fields.has("x-envoy-overloaded"), kind === "overflow");
  }
});

test("a failure inside the call that opens the request is like any other", () => {
  const under = new ExchangeUnderTest(chain, { method: "POST" });
  under.cluster.atOnce = ({ receiver }) =>
    receiver.unavailable({ kind: "connect-failed", reason: "no" });
  under.start(false);
  assert.equal(under.outcome[0], 503);
  assert.equal(under.play("late"), true);
});

test("a client that goes away takes the attempt with it", () => {
  for (const [kind, flag, details] of [
    ["connection-lost", "DC", "downstream_remote_disconnect"],
    ["remote-reset", "DR", "http2.remote_reset"],
  ] as const) {
    const under = new ExchangeUnderTest(chain).start();
    under.exchange.reset(kind === "remote-reset" ? { kind } : { kind, detail: "", reused: false });
    assert.deepEqual(under.outcome, [0, details, flag]);
    assert.equal(under.cluster.last.reason?.kind, "local");
    // Late news of the attempt changes nothing.
    under.cluster.last.answer(200);
    assert.equal(under.sent, undefined);
  }
});

test("a body that turns out not to be HTTP is answered with 400", () => {
  const under = new ExchangeUnderTest(chain, { method: "POST" }).start(false);
  under.exchange.reset({ kind: "protocol-error", detail: "http1.codec_error" });
  assert.deepEqual(under.outcome, [400, "http1.codec_error", "DPE"]);
  assert.equal(under.cluster.last.reason?.kind, "local");
});

test("gRPC: an answer of ours is trailers only, with the status that fits", () => {
  const fields = new Fields(["content-type", "application/grpc"]);
  const under = new ExchangeUnderTest(chain, { method: "POST", fields });
  under.cluster.endpoints = [];
  under.start(false);
  assert.equal(under.sent?.status, 200);
  assert.equal(under.sentEnd, true);
  assert.equal(under.sent?.fields.get("grpc-status"), "14");
  assert.equal(under.sent?.fields.get("grpc-message"), "no healthy upstream");
  assert.equal(under.sent?.fields.get("content-type"), "application/grpc");
});

test("gRPC: messages are counted however they are split, the outcome is the trailers'", () => {
  const fields = new Fields(["content-type", "application/grpc+proto"]);
  const under = new ExchangeUnderTest(chain, { method: "POST", fields }).start(false);
  const frame = "\0\0\0\0\x03abc";
  for (const octet of frame + frame) under.play(octet);
  under.play(`\0\0\0\0\0${frame}`);
  under.exchange.end(undefined);
  const { receiver } = under.cluster.last;
  receiver.head({ status: 200, fields: new Fields() }, false);
  assert.deepEqual(under.cluster.outcomes, []);
  receiver.body(Buffer.from(frame, "latin1"), 0, frame.length);
  receiver.end(new Fields(["grpc-status", "13"]));
  assert.deepEqual(under.cluster.outcomes, [{ kind: "status", status: 200, grpcStatus: 13 }]);
  assert.equal(under.records[0]?.http?.requestMessages, 4);
  assert.equal(under.records[0]?.http?.responseMessages, 1);
});

test("an answer before the request's end ends both", () => {
  const under = new ExchangeUnderTest(chain, { method: "POST" }).start(false);
  under.play("some");
  under.cluster.last.answer(413);
  assert.deepEqual(under.outcome, [413, "via_upstream", ""]);
  assert.equal(under.cluster.last.reason?.kind, "local");
  assert.equal(under.sent?.fields.has("x-envoy-upstream-service-time"), false);
  assert.equal(under.play("more"), true);
});

test("upgrades: allowed ones flow raw, others get 403", () => {
  const allowed = new ExchangeUnderTest(chain, { upgrade: "websocket" }).start(false);
  allowed.cluster.last.receiver.head({ status: 101, fields: new Fields() }, false);
  assert.equal(allowed.sent?.status, 101);
  allowed.play("raw");
  assert.equal(allowed.cluster.last.body_, "raw");
  assert.deepEqual(new ExchangeUnderTest(chain, { upgrade: "spdy/3.1" }).start(false).outcome, [
    403,
    "upgrade_failed",
    "",
  ]);
  const connect = { method: "CONNECT", path: "" };
  assert.deepEqual(new ExchangeUnderTest(chain, connect).start(false).outcome, [
    404,
    "route_not_found",
    "NR",
  ]);
});

test("100-continue: passed up and down, or answered here", () => {
  const fields = new Fields(["expect", "100-continue"]);
  const under = new ExchangeUnderTest(chain, { method: "POST", fields: fields.copy() }).start(
    false,
  );
  assert.equal(under.cluster.last.head.fields.get("expect"), "100-continue");
  under.cluster.last.receiver.interim({ status: 100, fields: new Fields() });
  assert.deepEqual(under.interims, [100]);
  const here = chainOf(chain.routes.virtualHosts[0]?.routes ?? [], { proxy100Continue: false });
  const answered = new ExchangeUnderTest(here, { method: "POST", fields }).start(false);
  assert.deepEqual(answered.interims, [100]);
  assert.equal(answered.cluster.last.head.fields.has("expect"), false);
});

test("a record tells when what happened, by which protocol, and the cluster's other name", async () => {
  const under = new ExchangeUnderTest(chain);
  under.start(false);
  const { last } = under.cluster;
  await under.clock.advance(10);
  last.connected();
  await under.clock.advance(20);
  under.exchange.end(undefined);
  await under.clock.advance(40);
  last.receiver.head({ status: 200, fields: new Fields() }, false);
  await under.clock.advance(80);
  last.receiver.end(undefined);
  const [record] = under.records;
  assert.equal(record?.upstream?.protocol, "HTTP/1.1");
  assert.equal(record?.upstream?.statName, "web;");
  assert.deepEqual(
    { ...record?.timing },
    {
      requestEndMs: 30,
      upstreamFirstSentMs: 10,
      upstreamLastSentMs: 30,
      upstreamFirstReceivedMs: 70,
      upstreamLastReceivedMs: 150,
      responseFirstSentMs: 70,
      responseLastSentMs: 150,
    },
  );
});

test("an answer of ours has no moments upstream, a broken one no end", () => {
  const none = new ExchangeUnderTest(chainOf([])).start();
  assert.equal(none.records[0]?.timing?.upstreamFirstReceivedMs, undefined);
  assert.equal(none.records[0]?.timing?.responseLastSentMs, 0);
  const broken = new ExchangeUnderTest(chain).start();
  broken.cluster.last.connected().receiver.head({ status: 200, fields: new Fields() }, false);
  broken.cluster.last.receiver.reset({ kind: "remote-reset" });
  assert.equal(broken.records[0]?.timing?.responseFirstSentMs, 0);
  assert.equal(broken.records[0]?.timing?.responseLastSentMs, undefined);
  assert.equal(broken.records[0]?.timing?.upstreamLastReceivedMs, undefined);
});

test("an endpoint's own name becomes the host where the route says so", () => {
  const forward = forwardTo("web", { hostRewrite: { kind: "auto" }, appendXForwardedHost: true });
  const auto = chainOf([routeOf({ kind: "forward", forward })]);
  const named = new ExchangeUnderTest(auto);
  named.cluster.endpoints = [{ ...endpointAt(1), hostname: "one.example" }];
  named.start();
  assert.equal(named.cluster.last.head.authority, "one.example");
  assert.equal(named.cluster.last.head.fields.get("x-forwarded-host"), "web");
  const nameless = new ExchangeUnderTest(auto).start();
  assert.equal(nameless.cluster.last.head.authority, "web");
});
