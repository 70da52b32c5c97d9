/** What Telemetry configures, as plain data; compiled by compile/telemetry.ts, carried out in this folder. */
import type { Format } from "./log/format.ts";
import type { MetricOverrides } from "./metrics/overrides.ts";
import type { StreamRecord } from "./record.ts";
import type { CustomTag } from "./tracing/tags.ts";

/** Decides by its filter whether a finished stream is logged, and writes the line. */
export interface AccessLog {
  write(record: StreamRecord): void;
}

export interface StatsConfig {
  readonly tcpReportingDurationMs: number;
  readonly overrides: MetricOverrides;
}

export interface TracingConfig {
  /** 0 to 100. */
  readonly randomSamplingPercent: number;
  readonly clientSamplingPercent: number;
  readonly overallSamplingPercent: number;
  readonly maxPathTagLength: number;
  readonly verbose: boolean;
  /** The span's name, before the route's; undefined: the route's. */
  readonly operation: Format | undefined;
  /** Whether trace headers go upstream. */
  readonly propagate: boolean;
  readonly spawnUpstreamSpan: boolean;
  /** Of the request id extension: the trace's fate stands in the id's version digit. */
  readonly packTraceReason: boolean;
  readonly sampleByRequestId: boolean;
  /** Undefined: nobody takes spans; ids are still marked. */
  readonly provider: TracingProvider | undefined;
  readonly customTags: readonly CustomTag[];
}

export type TracingProvider =
  | {
      readonly kind: "zipkin";
      readonly collector: HttpCollector;
      readonly traceId128: boolean;
      readonly sharedSpanContext: boolean;
      /** Besides B3. */
      readonly w3c: boolean;
    }
  | {
      readonly kind: "opentelemetry";
      readonly export:
        | { readonly kind: "grpc"; readonly collector: GrpcCollector }
        | { readonly kind: "http"; readonly collector: HttpCollector };
      readonly serviceName: string;
      /** Undefined: Envoy's own decision is taken. */
      readonly sampler: "always-on" | undefined;
      readonly resource: readonly (readonly [key: string, value: string])[];
    };

export interface HttpCollector {
  readonly cluster: string;
  readonly authority: string;
  readonly path: string;
  readonly timeoutMs: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export interface GrpcCollector {
  readonly cluster: string;
  readonly authority: string;
  readonly timeoutMs: number;
  readonly metadata: readonly (readonly [name: string, value: string])[];
}
