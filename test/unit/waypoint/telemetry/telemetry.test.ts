import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { HttpCall } from "../../../../src/waypoint/filters/upstream-calls.ts";
import { Fields, type ResponseHead } from "../../../../src/waypoint/http/message.ts";
import type { HttpChain } from "../../../../src/waypoint/model/chain.ts";
import { accessLog } from "../../../../src/waypoint/telemetry/log/access-log.ts";
import { parseFormat } from "../../../../src/waypoint/telemetry/log/parse.ts";
import { createTelemetry } from "../../../../src/waypoint/telemetry/telemetry.ts";
import { FakeClock } from "../../../support/clock.ts";
import { quietLog } from "../../../support/log.ts";
import { downstream, requestHead, streamRecord } from "../../../support/stream-record.ts";
import { tracingConfig } from "../../../support/trace-configs.ts";

function scene() {
  const clock = new FakeClock();
  const calls: HttpCall[] = [];
  const telemetry = createTelemetry({
    clock,
    random: () => 0.5,
    log: quietLog,
    proxy: {
      nodeId: "waypoint~10.10.2.50~waypoint-0.shop~shop.svc.cluster.local",
      nodeCluster: "waypoint.shop",
      ip: "10.10.2.50",
      namespace: "shop",
      istioVersion: "1.30.0",
      metadata: {},
    },
    version: "1",
    variable: () => undefined,
    calls: {
      http: (call) => {
        calls.push(call);
        return Promise.resolve({
          kind: "answer",
          answer: { status: 202, fields: [], body: Buffer.alloc(0) },
        });
      },
      unary: () => Promise.resolve({ kind: "failed", reason: "unavailable", detail: "" }),
    },
  });
  return { clock, calls, telemetry };
}

function chain(over: Partial<HttpChain> = {}, http: Partial<HttpChain["http"]> = {}): HttpChain {
  return {
    accessLogs: [],
    tracing: undefined,
    stats: { tcpReportingDurationMs: 5000, overrides: new Map() },
    ...over,
    http: { generateRequestId: true, alwaysSetRequestId: false, ...http },
  } as unknown as HttpChain;
}

describe("telemetry put together", () => {
  const dir = mkdtempSync(join(tmpdir(), "ambit-log-"));
  after(() => rmSync(dir, { recursive: true }));

  it("gives requests an id, and leaves those they bring", () => {
    const { telemetry } = scene();
    const head = requestHead();
    assert.equal(telemetry.requests.start(chain(), head, downstream()), undefined);
    assert.match(head.fields.get("x-request-id") ?? "", /^[0-9a-f-]{36}$/);
    const own = requestHead({}, ["x-request-id", "mine"]);
    telemetry.requests.start(chain(), own, downstream());
    assert.equal(own.fields.get("x-request-id"), "mine");
    const none = requestHead();
    telemetry.requests.start(chain({}, { generateRequestId: false }), none, downstream());
    assert.equal(none.fields.get("x-request-id"), undefined);
  });

  it("marks the id of a traced request, sends its span, and names the operation to the client", async () => {
    const { telemetry, calls, clock } = scene();
    const traced = chain({ tracing: tracingConfig() });
    const head = requestHead();
    const trace = telemetry.requests.start(traced, head, downstream());
    assert.ok(trace?.sampled);
    assert.equal(head.fields.get("x-request-id")?.[14], "9");
    telemetry.requests.injectUpstream(trace, head);
    assert.equal(head.fields.get("x-b3-traceid"), trace.traceId);
    const response: ResponseHead = { status: 200, fields: new Fields() };
    telemetry.requests.answer(traced, head, response, trace, "reviews:80/*");
    assert.deepEqual(response.fields.flat, ["x-envoy-decorator-operation", "reviews:80/*"]);
    telemetry.requests.finish(traced, streamRecord(), trace);
    await clock.advance(1000);
    assert.equal(calls.length, 1);
    assert.match(telemetry.renderMetrics(), /ambit_waypoint_spans_total\{outcome="sent"\} 1/);
    await telemetry.close();
  });

  it("takes the client's name for the operation, once", () => {
    const { telemetry } = scene();
    const traced = chain({ tracing: tracingConfig() });
    const head = requestHead({}, ["x-envoy-decorator-operation", "mine"]);
    const trace = telemetry.requests.start(traced, head, downstream());
    assert.equal(head.fields.get("x-envoy-decorator-operation"), undefined);
    const response: ResponseHead = { status: 200, fields: new Fields() };
    telemetry.requests.answer(traced, head, response, trace, "route");
    assert.deepEqual(response.fields.flat, []);
  });

  it("answers with the id where it is asked to", () => {
    const { telemetry } = scene();
    const response: ResponseHead = { status: 200, fields: new Fields() };
    const head = requestHead({}, ["x-request-id", "mine"]);
    telemetry.requests.answer(chain({}, { alwaysSetRequestId: true }), head, response);
    assert.deepEqual(response.fields.flat, ["x-request-id", "mine"]);
  });

  it("counts, logs to files and remembers", async () => {
    const { telemetry } = scene();
    const path = join(dir, "access.log");
    const { environment } = telemetry;
    const log = accessLog(
      undefined,
      {
        kind: "text",
        format: parseFormat("%REQ(:METHOD)% %HOSTNAME%\n", environment),
        omitEmpty: false,
      },
      environment.sink(path),
    );
    assert.equal(environment.sink(path), environment.sink(path));
    telemetry.requests.finish(chain({ accessLogs: [log] }), streamRecord(), undefined);
    assert.match(telemetry.renderMetrics(), /istio_requests_total\{[^}]*\} 1/);
    assert.equal(telemetry.decisions.latest(5).length, 1);
    await telemetry.close();
    assert.match(readFileSync(path, "utf8"), /^GET \S+\n$/);
  });

  it("goes on without a log that cannot be opened", async () => {
    const { telemetry } = scene();
    const sink = telemetry.environment.sink(join(dir, "absent", "access.log"));
    sink.write("lost\n");
    await telemetry.close();
  });
});
