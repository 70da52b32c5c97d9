/** Spans as OpenTelemetry collectors take them: OTLP in protobuf, by gRPC and HTTP alike. */
import { create, toBinary } from "@bufbuild/protobuf";
import {
  ExportTraceServiceRequestSchema,
  Span_SpanKind,
  Status_StatusCode,
} from "../../../shared/wire/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { Span } from "./span.ts";

function bytesOf(id: string): Uint8Array {
  return Buffer.from(id, "hex");
}

/** Nanoseconds do not fit a double: whole milliseconds and the rest apart. The clock gives microseconds. */
function nanos(wallMs: number): bigint {
  const whole = Math.floor(wallMs);
  return BigInt(whole) * 1_000_000n + BigInt(Math.round((wallMs - whole) * 1000) * 1000);
}

function text(key: string, value: string) {
  return { key, value: { value: { case: "stringValue" as const, value } } };
}

export interface OtlpResource {
  readonly serviceName: string;
  readonly version: string;
  readonly attributes: readonly (readonly [key: string, value: string])[];
}

export function otlpRequest(spans: readonly Span[], resource: OtlpResource): Uint8Array {
  const { serviceName, version, attributes } = resource;
  const message = create(ExportTraceServiceRequestSchema, {
    resourceSpans: [
      {
        resource: {
          attributes: [
            text("service.name", serviceName),
            text("telemetry.sdk.language", "nodejs"),
            text("telemetry.sdk.name", "ambit"),
            text("telemetry.sdk.version", version),
            ...attributes.map(([key, value]) => text(key, value)),
          ],
        },
        scopeSpans: [
          {
            scope: { name: "ambit.waypoint", version },
            spans: spans.map((span) => ({
              traceId: bytesOf(span.traceId.padStart(32, "0")),
              spanId: bytesOf(span.spanId),
              parentSpanId: bytesOf(span.parentId ?? ""),
              traceState: span.state ?? "",
              name: span.name,
              kind: Span_SpanKind.SERVER,
              startTimeUnixNano: nanos(span.startWallMs),
              endTimeUnixNano: nanos(span.startWallMs + span.durationMs),
              attributes: span.tags.map(([key, value]) => text(key, value)),
              status: span.failed ? { code: Status_StatusCode.ERROR } : {},
              // The context that it came with was remote: bits 8 and 9.
              flags: 0x101 | (span.parentId === undefined ? 0 : 0x200),
            })),
          },
        ],
      },
    ],
  });
  return toBinary(ExportTraceServiceRequestSchema, message);
}
