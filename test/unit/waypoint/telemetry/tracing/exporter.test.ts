import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { ExportTraceServiceRequestSchema } from "../../../../../src/shared/wire/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type {
  HttpCall,
  HttpOutcome,
  UnaryCall,
  UnaryOutcome,
  UpstreamCalls,
} from "../../../../../src/waypoint/filters/upstream-calls.ts";
import type { TracingProvider } from "../../../../../src/waypoint/telemetry/config.ts";
import {
  MAX_WAITING,
  SpanExporter,
} from "../../../../../src/waypoint/telemetry/tracing/exporter.ts";
import type { Span } from "../../../../../src/waypoint/telemetry/tracing/span.ts";
import { FakeClock } from "../../../../support/clock.ts";
import { otelProvider, zipkinProvider } from "../../../../support/trace-configs.ts";

function span(over: Partial<Span> = {}): Span {
  return {
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "b7ad6b7169203331",
    parentId: undefined,
    state: undefined,
    name: "reviews:80/*",
    startWallMs: 1_795_262_400_123.456,
    durationMs: 5.7,
    tags: [["component", "proxy"]],
    failed: false,
    shared: false,
    ...over,
  };
}

const accepted: HttpOutcome = {
  kind: "answer",
  answer: { status: 202, fields: [], body: Buffer.alloc(0) },
};

class FakeCollector implements UpstreamCalls {
  readonly http_: HttpCall[] = [];
  readonly unary_: UnaryCall[] = [];
  /** Called for each; by default all is well at once. */
  answer: () => Promise<HttpOutcome> = () => Promise.resolve(accepted);
  status: UnaryOutcome = { kind: "message", message: Buffer.alloc(0) };

  http(call: HttpCall): Promise<HttpOutcome> {
    this.http_.push(call);
    return this.answer();
  }

  unary(call: UnaryCall): Promise<UnaryOutcome> {
    this.unary_.push(call);
    return Promise.resolve(this.status);
  }
}

function scene(provider: TracingProvider = zipkinProvider) {
  const clock = new FakeClock();
  const collector = new FakeCollector();
  const counts = { sent: 0, dropped: 0 };
  const changes: (string | undefined)[] = [];
  const exporter = new SpanExporter(
    {
      clock,
      calls: collector,
      endpoint: { serviceName: "waypoint.shop", ip: "10.10.2.50" },
      version: "1.0",
      counts,
      onChange: (_, problem) => changes.push(problem),
    },
    provider,
  );
  return { clock, collector, counts, changes, exporter };
}

describe("the Zipkin exporter", () => {
  it("sends what has gathered, as JSON", async () => {
    const { clock, collector, counts, exporter } = scene();
    exporter.add(span());
    exporter.add(span({ parentId: "1111111111111111", shared: true }));
    assert.equal(collector.http_.length, 0);
    await clock.advance(1000);
    const [call] = collector.http_;
    assert.equal(call?.cluster, zipkinProvider.collector.cluster);
    assert.equal(call?.authority, "zipkin.observe.svc.cluster.local");
    assert.equal(call?.path, "/api/v2/spans");
    assert.equal(call?.method, "POST");
    assert.deepEqual(call?.fields, [
      ["content-type", "application/json"],
      ["x-token", "t"],
    ]);
    assert.deepEqual(JSON.parse(Buffer.from(call?.body ?? []).toString()), [
      {
        traceId: "0af7651916cd43dd8448eb211c80319c",
        id: "b7ad6b7169203331",
        kind: "SERVER",
        name: "reviews:80/*",
        timestamp: 1_795_262_400_123_456,
        duration: 5700,
        localEndpoint: { serviceName: "waypoint.shop", ipv4: "10.10.2.50" },
        tags: { component: "proxy" },
      },
      {
        traceId: "0af7651916cd43dd8448eb211c80319c",
        parentId: "1111111111111111",
        id: "b7ad6b7169203331",
        kind: "SERVER",
        name: "reviews:80/*",
        timestamp: 1_795_262_400_123_456,
        duration: 5700,
        localEndpoint: { serviceName: "waypoint.shop", ipv4: "10.10.2.50" },
        shared: true,
        tags: { component: "proxy" },
      },
    ]);
    assert.deepEqual(counts, { sent: 2, dropped: 0 });
    assert.equal(clock.pending, 0);
  });

  it("drops and counts while the collector is away, and says so once", async () => {
    const { clock, collector, counts, changes, exporter } = scene();
    collector.answer = () =>
      Promise.resolve({ kind: "failed", reason: "no-cluster", detail: "there is none" });
    for (let round = 0; round < 3; round++) {
      exporter.add(span());
      await clock.advance(1000);
    }
    assert.deepEqual(counts, { sent: 0, dropped: 3 });
    assert.deepEqual(changes, ["no-cluster: there is none"]);
    collector.answer = () => Promise.resolve(accepted);
    exporter.add(span());
    await clock.advance(1000);
    assert.deepEqual(counts, { sent: 1, dropped: 3 });
    assert.deepEqual(changes, ["no-cluster: there is none", undefined]);
  });

  it("counts refusals of the collector", async () => {
    const { clock, collector, counts, changes, exporter } = scene();
    collector.answer = () =>
      Promise.resolve({
        kind: "answer",
        answer: { status: 503, fields: [], body: Buffer.alloc(0) },
      });
    exporter.add(span());
    await clock.advance(1000);
    assert.deepEqual(counts, { sent: 0, dropped: 1 });
    assert.deepEqual(changes, ["HTTP status 503"]);
  });

  it("keeps a bounded number while a call lasts, one call at a time", async () => {
    const { clock, collector, counts, exporter } = scene();
    let finish = (): void => undefined;
    collector.answer = () =>
      new Promise((resolve) => {
        finish = () => resolve(accepted);
      });
    for (let index = 0; index < 512 + MAX_WAITING + 7; index++) exporter.add(span());
    assert.equal(collector.http_.length, 1);
    assert.equal(counts.dropped, 7);
    await clock.advance(60_000);
    assert.equal(collector.http_.length, 1);
    finish();
    await clock.advance(0);
    assert.equal(collector.http_.length, 2, "a full batch goes on at once");
    assert.equal(counts.sent, 512);
  });

  it("sends the rest when it closes, and takes nothing after", async () => {
    const { clock, collector, counts, exporter } = scene();
    exporter.add(span());
    await exporter.close();
    exporter.add(span());
    assert.equal(collector.http_.length, 1);
    assert.deepEqual(counts, { sent: 1, dropped: 1 });
    assert.equal(clock.pending, 0);
  });
});

describe("the OpenTelemetry exporter", () => {
  it("sends protobuf by gRPC", async () => {
    const { clock, collector, counts, exporter } = scene(otelProvider);
    exporter.add(span({ parentId: "1111111111111111", state: "a=1", failed: true }));
    await clock.advance(1000);
    const [call] = collector.unary_;
    assert.equal(call?.service, "opentelemetry.proto.collector.trace.v1.TraceService");
    assert.equal(call?.method, "Export");
    assert.deepEqual(call?.metadata, [["authorization", "Bearer x"]]);
    const message = fromBinary(ExportTraceServiceRequestSchema, call?.message ?? new Uint8Array());
    const [resource] = message.resourceSpans;
    assert.deepEqual(
      resource?.resource?.attributes.map(({ key, value }) => [key, value?.value.value]),
      [
        ["service.name", "waypoint.shop"],
        ["telemetry.sdk.language", "nodejs"],
        ["telemetry.sdk.name", "ambit"],
        ["telemetry.sdk.version", "1.0"],
        ["deployment", "blue"],
      ],
    );
    const [sent] = resource?.scopeSpans[0]?.spans ?? [];
    assert.equal(Buffer.from(sent?.traceId ?? []).toString("hex"), span().traceId);
    assert.equal(Buffer.from(sent?.parentSpanId ?? []).toString("hex"), "1111111111111111");
    assert.equal(sent?.startTimeUnixNano, 1_795_262_400_123_456_000n);
    assert.equal((sent?.endTimeUnixNano ?? 0n) > (sent?.startTimeUnixNano ?? 0n), true);
    assert.equal(sent?.kind, 2);
    assert.equal(sent?.status?.code, 2);
    assert.equal(sent?.traceState, "a=1");
    assert.equal(counts.sent, 1);
  });

  it("sends the same by HTTP", async () => {
    const { clock, collector, exporter } = scene({
      ...otelProvider,
      export: { kind: "http", collector: { ...zipkinProvider.collector, path: "/v1/traces" } },
    });
    exporter.add(span({ traceId: "1111111111111111" }));
    await clock.advance(1000);
    const [call] = collector.http_;
    assert.equal(call?.path, "/v1/traces");
    assert.equal(call?.fields[0]?.[1], "application/x-protobuf");
    const message = fromBinary(ExportTraceServiceRequestSchema, call?.body ?? new Uint8Array());
    const [sent] = message.resourceSpans[0]?.scopeSpans[0]?.spans ?? [];
    assert.equal(sent?.traceId.length, 16);
  });

  it("counts statuses of the collector", async () => {
    const { clock, collector, counts, changes, exporter } = scene(otelProvider);
    collector.status = { kind: "status", status: 14, message: "no" };
    exporter.add(span());
    await clock.advance(1000);
    assert.deepEqual(counts, { sent: 0, dropped: 1 });
    assert.deepEqual(changes, ["gRPC status 14: no"]);
  });
});
