import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Fields, type RequestHead } from "../../../../../src/waypoint/http/message.ts";
import type { TracingConfig } from "../../../../../src/waypoint/telemetry/config.ts";
import { inertEnvironment } from "../../../../../src/waypoint/telemetry/environment.ts";
import { parseFormat } from "../../../../../src/waypoint/telemetry/log/parse.ts";
import {
  finishTrace,
  injectTrace,
  startTrace,
} from "../../../../../src/waypoint/telemetry/tracing/tracer.ts";
import {
  httpRecord,
  requestHead,
  streamRecord,
  upstream,
} from "../../../../support/stream-record.ts";
import { otelProvider, tracingConfig, zipkinProvider } from "../../../../support/trace-configs.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

function started(config: TracingConfig, flat: string[], traced = true) {
  const head: RequestHead = requestHead({}, flat);
  const trace = startTrace(config, traced, head, undefined);
  injectTrace(trace, head);
  return { trace, head, get: (name: string) => head.fields.get(name) };
}

describe("B3", () => {
  const b3 = tracingConfig();

  it("begins a trace where there is none", () => {
    const { get, trace } = started(b3, []);
    const traceId = get("x-b3-traceid") ?? "";
    assert.match(traceId, /^[0-9a-f]{32}$/);
    assert.equal(get("x-b3-spanid"), traceId.slice(16));
    assert.equal(get("x-b3-parentspanid"), undefined);
    assert.equal(get("x-b3-sampled"), "1");
    assert.equal(trace.sampled, true);
    assert.equal(get("traceparent"), undefined);
  });

  it("has short ids where they are asked for", () => {
    const { get } = started(
      tracingConfig({ provider: { ...zipkinProvider, traceId128: false } }),
      [],
    );
    assert.match(get("x-b3-traceid") ?? "", /^[0-9a-f]{16}$/);
  });

  it("continues one from several headers", () => {
    const { get } = started(b3, ["x-b3-traceid", TRACE, "x-b3-spanid", SPAN, "x-b3-sampled", "0"]);
    assert.equal(get("x-b3-traceid"), TRACE);
    assert.equal(get("x-b3-parentspanid"), SPAN);
    assert.notEqual(get("x-b3-spanid"), SPAN);
    assert.equal(get("x-b3-sampled"), "0");
  });

  it("continues one from a single header, and decides where that is open", () => {
    const { get, trace } = started(b3, ["b3", `${TRACE}-${SPAN}`]);
    assert.equal(get("x-b3-parentspanid"), SPAN);
    assert.equal(get("x-b3-sampled"), "1");
    assert.equal(get("b3"), undefined);
    assert.equal(trace.sampled, true);
    assert.equal(started(b3, ["b3", `${TRACE}-${SPAN}-0-${SPAN}`]).trace.sampled, false);
    assert.equal(started(b3, ["b3", `${TRACE}-${SPAN}-d`], false).trace.sampled, true);
  });

  it("takes a word on sampling alone", () => {
    assert.equal(started(b3, ["b3", "0"]).get("x-b3-sampled"), "0");
    assert.equal(started(b3, ["b3", "1"], false).get("x-b3-sampled"), "1");
    assert.equal(started(b3, ["x-b3-sampled", "true"], false).get("x-b3-sampled"), "1");
  });

  it("shares the client's span where that is configured", () => {
    const shared = tracingConfig({ provider: { ...zipkinProvider, sharedSpanContext: true } });
    const { trace, get } = started(shared, ["x-b3-traceid", TRACE, "x-b3-spanid", SPAN]);
    assert.equal(get("x-b3-spanid"), SPAN);
    assert.equal(finishTrace(trace, streamRecord())?.shared, true);
  });

  for (const bad of [
    ["b3", `${TRACE}-xyz`],
    ["b3", "00-11"],
    ["x-b3-traceid", "1234", "x-b3-spanid", SPAN],
    ["x-b3-traceid", TRACE, "x-b3-spanid", "0000000000000000"],
  ])
    it(`leaves ${bad.join(" ")} as it is`, () => {
      const { head, trace } = started(b3, bad);
      assert.deepEqual(head.fields.flat, bad);
      assert.equal(finishTrace(trace, streamRecord()), undefined);
    });

  it("goes with W3C's where both are wanted", () => {
    const both = tracingConfig({ provider: { ...zipkinProvider, w3c: true } });
    const { get } = started(both, ["traceparent", `00-${TRACE}-${SPAN}-01`]);
    assert.equal(get("x-b3-traceid"), TRACE);
    assert.equal(get("x-b3-parentspanid"), SPAN);
    assert.equal(get("traceparent"), `00-${TRACE}-${get("x-b3-spanid")}-01`);
    const b3First = started(both, [
      ...["traceparent", `00-${TRACE}-${SPAN}-01`],
      ...["x-b3-traceid", "1111111111111111", "x-b3-spanid", SPAN],
    ]);
    assert.equal(b3First.get("x-b3-traceid"), "1111111111111111");
    assert.match(b3First.get("traceparent") ?? "", /^00-00000000000000001111111111111111-/);
  });
});

describe("W3C trace context", () => {
  const w3c = tracingConfig({ provider: otelProvider });

  it("begins a trace", () => {
    assert.match(started(w3c, []).get("traceparent") ?? "", /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    assert.match(started(w3c, [], false).get("traceparent") ?? "", /-00$/);
  });

  it("continues one with its state", () => {
    const { get, trace } = started(
      w3c,
      ["traceparent", `00-${TRACE}-${SPAN}-00`, "tracestate", "a=1", "tracestate", "b=2"],
      true,
    );
    assert.match(get("traceparent") ?? "", new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
    assert.equal(get("tracestate"), "a=1,b=2");
    assert.equal(trace.sampled, false);
  });

  it("accepts later versions, no broken ones", () => {
    const later = started(w3c, ["traceparent", `cc-${TRACE}-${SPAN}-01-what-comes`]);
    assert.match(later.get("traceparent") ?? "", new RegExp(`^00-${TRACE}-`));
    for (const bad of [
      `ff-${TRACE}-${SPAN}-01`,
      `00-${TRACE}-${SPAN}-01-x`,
      `00-${"0".repeat(32)}-${SPAN}-01`,
      `00-${TRACE.toUpperCase()}-${SPAN}-01`,
      "nonsense",
    ])
      assert.equal(started(w3c, ["traceparent", bad]).get("traceparent"), bad);
  });

  it("always samples where the sampler says so", () => {
    const always = tracingConfig({ provider: { ...otelProvider, sampler: "always-on" } });
    assert.equal(started(always, [], false).trace.sampled, true);
  });

  it("is not propagated where that is forbidden, or where nobody takes spans", () => {
    assert.deepEqual(started(tracingConfig({ propagate: false }), []).head.fields.flat, []);
    assert.deepEqual(started(tracingConfig({ provider: undefined }), []).head.fields.flat, []);
  });
});

describe("spans", () => {
  const environment = inertEnvironment();
  const config = tracingConfig({
    maxPathTagLength: 8,
    customTags: [
      { kind: "value", tag: "istio.mesh_id", value: "mesh" },
      { kind: "header", tag: "user", name: "x-user", fallback: "nobody" },
      {
        kind: "metadata",
        tag: "policy",
        from: "request",
        filter: "envoy.filters.http.rbac",
        path: ["id"],
        fallback: "",
      },
      {
        kind: "format",
        tag: "istio.source_workload",
        format: parseFormat("%FILTER_STATE(downstream_peer_obj:FIELD:workload)%", environment),
      },
      { kind: "format", tag: "empty", format: parseFormat("%REQ(no)%", environment) },
    ],
  });

  it("say what Envoy's say, and what is configured", () => {
    const { trace } = started(config, []);
    const span = finishTrace(
      trace,
      streamRecord({
        flags: ["URX"],
        metadata: new Map([["envoy.filters.http.rbac", { id: "ns[shop]-policy[x]-rule[0]" }]]),
        upstream: upstream({ statName: "reviews" }),
        http: httpRecord({
          status: 503,
          operation: "reviews.shop.svc.cluster.local:80/*",
          request: requestHead({}, ["user-agent", "curl", "x-request-id", "id-1"]),
        }),
      }),
    );
    assert.equal(span?.name, "reviews.shop.svc.cluster.local:80/*");
    assert.equal(span?.failed, true);
    assert.deepEqual(Object.fromEntries(span?.tags ?? []), {
      "guid:x-request-id": "id-1",
      "http.url": "http://reviews.shop/reviews",
      "http.method": "GET",
      downstream_cluster: "-",
      user_agent: "curl",
      "http.protocol": "HTTP/1.1",
      "peer.address": "10.10.1.10",
      request_size: "0",
      response_size: "1024",
      component: "proxy",
      upstream_cluster: "inbound-vip|80|http|reviews.shop.svc.cluster.local",
      "upstream_cluster.name": "reviews",
      upstream_address: "10.10.1.11:8080",
      "http.status_code": "503",
      response_flags: "URX",
      error: "true",
      "istio.mesh_id": "mesh",
      user: "nobody",
      policy: "ns[shop]-policy[x]-rule[0]",
      "istio.source_workload": "web",
    });
  });

  it("of gRPC say how it ended", () => {
    const { trace } = started(tracingConfig(), []);
    const span = finishTrace(
      trace,
      streamRecord({
        http: httpRecord({
          request: requestHead({ path: "/a.B/C" }, [
            "content-type",
            "application/grpc",
            "grpc-timeout",
            "1S",
          ]),
          grpcStatus: "5",
          trailers: new Fields(["grpc-message", "gone"]),
        }),
      }),
    );
    const tags = Object.fromEntries(span?.tags ?? []);
    assert.equal(tags["grpc.path"], "/a.B/C");
    assert.equal(tags["grpc.timeout"], "1S");
    assert.equal(tags["grpc.status_code"], "5");
    assert.equal(tags["grpc.message"], "gone");
    assert.equal(span?.name, "ingress");
  });

  it("are named by the configuration before the client, and by the client before the route", () => {
    const record = streamRecord({ http: httpRecord({ operation: "route" }) });
    const named = tracingConfig({ operation: parseFormat("%REQ(:METHOD)% x", environment) });
    const nameOf = (one: TracingConfig, operation: string | undefined) =>
      finishTrace(startTrace(one, true, requestHead(), operation), record)?.name;
    assert.equal(nameOf(named, "client"), "GET x");
    assert.equal(nameOf(tracingConfig(), "client"), "client");
    assert.equal(nameOf(tracingConfig(), undefined), "route");
  });

  it("are not made of what is not sampled", () => {
    assert.equal(finishTrace(started(tracingConfig(), [], false).trace, streamRecord()), undefined);
  });
});
