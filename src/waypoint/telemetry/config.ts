/** What Telemetry configures, as plain data; compiled by compile/telemetry.ts, carried out in this folder. */
import type { StreamRecord } from "./record.ts";

/** Decides by its filter whether a finished stream is logged, and writes the line. */
export interface AccessLog {
  write(record: StreamRecord): void;
}

export interface StatsConfig {
  readonly tcpReportingDurationMs: number;
  /** Overrides by short metric name; "" applies to all. Opaque to everyone but telemetry/metrics.ts. */
  readonly overrides: unknown;
}

export interface TracingConfig {
  /** 0 to 100. */
  readonly randomSamplingPercent: number;
  readonly clientSamplingPercent: number;
  readonly overallSamplingPercent: number;
  readonly maxPathTagLength: number;
  readonly propagate: boolean;
  readonly spawnUpstreamSpan: boolean;
  /** Opaque to everyone but telemetry/tracing. */
  readonly provider: unknown;
  readonly customTags: unknown;
}
