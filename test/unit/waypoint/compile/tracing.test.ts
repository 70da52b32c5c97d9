import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  create,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import { HttpServiceSchema } from "../../../../src/shared/wire/gen/envoy/config/core/v3/http_service_pb.js";
import { OpenTelemetryConfigSchema } from "../../../../src/shared/wire/gen/envoy/config/trace/v3/opentelemetry_pb.js";
import { ZipkinConfigSchema } from "../../../../src/shared/wire/gen/envoy/config/trace/v3/zipkin_pb.js";
import {
  type HttpConnectionManager_TracingSchema,
  HttpConnectionManagerSchema,
} from "../../../../src/shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { UuidRequestIdConfigSchema } from "../../../../src/shared/wire/gen/envoy/extensions/request_id/uuid/v3/uuid_pb.js";
import { Notes } from "../../../../src/waypoint/compile/notes.ts";
import { compileTracing } from "../../../../src/waypoint/compile/tracing.ts";
import type { TracingConfig } from "../../../../src/waypoint/telemetry/config.ts";
import { inertEnvironment } from "../../../../src/waypoint/telemetry/environment.ts";
import { printFormat } from "../../../../src/waypoint/telemetry/log/format.ts";
import { httpManagers, recordedListeners } from "../../../support/recorded-listeners.ts";
import { streamRecord } from "../../../support/stream-record.ts";

const environment = {
  ...inertEnvironment(),
  variable: (name: string) => ({ ZONE: "z1", OTEL_RESOURCE_ATTRIBUTES: "a=1,bad, b = 2" })[name],
};

type TracingInit = MessageInitShape<typeof HttpConnectionManager_TracingSchema>;

function compile(
  tracing: TracingInit | undefined,
  notes = new Notes(),
  unknown: MessageShape<DescMessage>["$unknown"] = undefined,
): TracingConfig | undefined {
  const manager = create(HttpConnectionManagerSchema, tracing === undefined ? {} : { tracing });
  if (manager.tracing !== undefined && unknown !== undefined) manager.tracing.$unknown = unknown;
  return compileTracing(manager, "hcm", notes, environment);
}

function provider<Schema extends DescMessage>(
  schema: Schema,
  init: MessageInitShape<Schema>,
): TracingInit["provider"] {
  const value = anyPack(schema, create(schema, init));
  return { name: "x", configType: { case: "typedConfig", value } };
}

function lengthDelimited(no: number, bytes: Uint8Array) {
  return {
    no,
    wireType: WireType.LengthDelimited,
    data: new BinaryWriter().bytes(bytes).finish(),
  };
}

describe("tracing", () => {
  it("is not there, or as recorded from the reference", () => {
    assert.equal(compile(undefined), undefined);
    const managers = recordedListeners("l7-telemetry")
      .filter(({ name }) => name === "main_internal")
      .flatMap(httpManagers);
    for (const manager of managers) {
      const config = compileTracing(manager, "hcm", new Notes(), environment);
      assert.equal(config?.randomSamplingPercent, 1);
      assert.equal(config?.clientSamplingPercent, 100);
      assert.equal(config?.provider, undefined);
      const tags = new Map(config?.customTags.map((tag) => [tag.tag, tag]));
      assert.equal(tags.size, 27);
      assert.deepEqual(tags.get("istio.namespace"), {
        kind: "value",
        tag: "istio.namespace",
        value: "shop",
      });
      const source = tags.get("istio.source_workload");
      assert.ok(source?.kind === "format");
      assert.equal(printFormat(source.format, streamRecord(), ""), "web");
      const dryRun = tags.get("istio.authorization.dry_run.allow_policy.name");
      assert.ok(dryRun?.kind === "metadata");
      assert.deepEqual(dryRun.path, ["istio_dry_run_allow_shadow_effective_policy_id"]);
    }
    assert.equal(managers.length, 4);
  });

  it("has Envoy's defaults", () => {
    const config = compile({});
    assert.deepEqual(config, {
      clientSamplingPercent: 100,
      randomSamplingPercent: 100,
      overallSamplingPercent: 100,
      maxPathTagLength: 256,
      verbose: false,
      propagate: true,
      spawnUpstreamSpan: false,
      packTraceReason: true,
      sampleByRequestId: true,
      operation: undefined,
      provider: undefined,
      customTags: [],
    });
  });

  it("reads fields newer than the schema, and refuses those it does not know", () => {
    const text = (no: number, value: string) => lengthDelimited(no, Buffer.from(value));
    const flag = { no: 13, wireType: WireType.Varint, data: new Uint8Array([1]) };
    const notes = new Notes();
    const config = compile({}, notes, [text(11, "%REQ(:METHOD)%"), text(12, "x"), flag]);
    assert.equal(config?.propagate, false);
    assert.equal(config?.operation?.source, "%REQ(:METHOD)%");
    assert.deepEqual(notes.decorations, ["hcm.tracing.#12: has no effect here"]);
    assert.throws(() => compile({}, notes, [text(99, "x")]), /hcm\.tracing\.#99: /);
    assert.throws(() => compile({}, notes, [text(11, "%NO%")]), /hcm\.tracing\.operation: %NO%/);
  });

  it("takes the options of request ids", () => {
    const config = anyPack(
      UuidRequestIdConfigSchema,
      create(UuidRequestIdConfigSchema, {
        packTraceReason: false,
        useRequestIdForTraceSampling: false,
      }),
    );
    const manager = create(HttpConnectionManagerSchema, {
      tracing: {},
      requestIdExtension: { typedConfig: config },
    });
    const compiled = compileTracing(manager, "hcm", new Notes(), environment);
    assert.equal(compiled?.packTraceReason, false);
    assert.equal(compiled?.sampleByRequestId, false);
  });

  it("takes tags from everywhere", () => {
    const config = compile({
      customTags: [
        { tag: "literal", type: { case: "literal", value: { value: "v" } } },
        { tag: "zone", type: { case: "environment", value: { name: "ZONE" } } },
        { tag: "none", type: { case: "environment", value: { name: "NONE" } } },
        { tag: "other", type: { case: "environment", value: { name: "NO", defaultValue: "d" } } },
        { tag: "user", type: { case: "requestHeader", value: { name: "X-User" } } },
      ],
    });
    assert.deepEqual(config?.customTags, [
      { kind: "value", tag: "literal", value: "v" },
      { kind: "value", tag: "zone", value: "z1" },
      { kind: "value", tag: "other", value: "d" },
      { kind: "header", tag: "user", name: "x-user", fallback: "" },
    ]);
    assert.throws(
      () => compile({ customTags: [{ tag: "x" }] }),
      /hcm\.tracing\.custom_tags\[0\]: has no value/,
    );
  });

  it("knows Zipkin, also by its newer fields", () => {
    const config = compile({
      provider: provider(ZipkinConfigSchema, {
        collectorCluster: "c",
        collectorEndpoint: "/api/v2/spans",
        collectorEndpointVersion: 1,
        traceId128bit: true,
        sharedSpanContext: false,
      }),
    });
    assert.deepEqual(config?.provider, {
      kind: "zipkin",
      collector: {
        cluster: "c",
        authority: "c",
        path: "/api/v2/spans",
        timeoutMs: 5000,
        headers: [],
      },
      traceId128: true,
      sharedSpanContext: false,
      w3c: false,
    });
    const service = create(HttpServiceSchema, {
      httpUri: {
        uri: "https://zipkin.example/api/v2/spans",
        httpUpstreamType: { case: "cluster", value: "z" },
        timeout: { seconds: 3n },
      },
      requestHeadersToAdd: [{ header: { key: "X-Token", value: "t" } }],
    });
    const newer = create(ZipkinConfigSchema, { collectorEndpointVersion: 1 });
    newer.$unknown = [
      { no: 8, wireType: WireType.Varint, data: new Uint8Array([1]) },
      lengthDelimited(9, toBinary(HttpServiceSchema, service)),
    ];
    const compiled = compile({ provider: provider(ZipkinConfigSchema, newer) })?.provider;
    assert.ok(compiled?.kind === "zipkin");
    assert.equal(compiled.w3c, true);
    assert.deepEqual(compiled.collector, {
      cluster: "z",
      authority: "zipkin.example",
      path: "/api/v2/spans",
      timeoutMs: 3000,
      headers: [["x-token", "t"]],
    });
  });

  it("knows OpenTelemetry by gRPC and HTTP", () => {
    const otel = (type: string) =>
      create(AnySchema, { typeUrl: `type.googleapis.com/envoy.extensions.tracers.${type}` });
    const grpc = compile({
      provider: provider(OpenTelemetryConfigSchema, {
        grpcService: {
          targetSpecifier: { case: "envoyGrpc", value: { clusterName: "o", authority: "otel" } },
          initialMetadata: [{ key: "Authorization", value: "x" }],
        },
        serviceName: "waypoint.shop",
        sampler: {
          name: "s",
          typedConfig: otel("opentelemetry.samplers.v3.AlwaysOnSamplerConfig"),
        },
        resourceDetectors: [
          {
            name: "e",
            typedConfig: otel(
              "opentelemetry.resource_detectors.v3.EnvironmentResourceDetectorConfig",
            ),
          },
        ],
      }),
    })?.provider;
    assert.deepEqual(grpc, {
      kind: "opentelemetry",
      export: {
        kind: "grpc",
        collector: {
          cluster: "o",
          authority: "otel",
          timeoutMs: 5000,
          metadata: [["authorization", "x"]],
        },
      },
      serviceName: "waypoint.shop",
      sampler: "always-on",
      resource: [
        ["a", "1"],
        ["b", "2"],
      ],
    });
    const http = compile({
      provider: provider(OpenTelemetryConfigSchema, {
        httpService: {
          httpUri: {
            uri: "/v1/traces",
            httpUpstreamType: { case: "cluster", value: "o" },
          },
        },
      }),
    })?.provider;
    assert.ok(http?.kind === "opentelemetry" && http.export.kind === "http");
    assert.equal(http.export.collector.path, "/v1/traces");
  });

  it("lists tracers that it does not speak to, and refuses broken ones", () => {
    const notes = new Notes();
    const datadog = create(AnySchema, {
      typeUrl: "type.googleapis.com/envoy.config.trace.v3.DatadogConfig",
    });
    const config = compile(
      { provider: { name: "d", configType: { case: "typedConfig", value: datadog } } },
      notes,
    );
    assert.equal(config?.provider, undefined);
    assert.match(notes.decorations.join(), /hcm\.tracing\.provider\.typed_config: spans go to/);
    assert.throws(
      () => compile({ provider: provider(ZipkinConfigSchema, { collectorEndpoint: "/x" }) }),
      /collector_cluster: is empty/,
    );
    assert.throws(
      () => compile({ provider: provider(OpenTelemetryConfigSchema, {}) }),
      /needs either grpc_service or http_service/,
    );
  });
});
