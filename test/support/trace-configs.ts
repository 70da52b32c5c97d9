/** Tracing configurations for tests. */
import type { TracingConfig, TracingProvider } from "../../src/waypoint/telemetry/config.ts";

export const zipkinProvider: TracingProvider & { readonly kind: "zipkin" } = {
  kind: "zipkin",
  collector: {
    cluster: "outbound|9411||zipkin.observe.svc.cluster.local",
    authority: "zipkin.observe.svc.cluster.local",
    path: "/api/v2/spans",
    timeoutMs: 5000,
    headers: [["x-token", "t"]],
  },
  traceId128: true,
  sharedSpanContext: false,
  w3c: false,
};

export const otelProvider: TracingProvider & { readonly kind: "opentelemetry" } = {
  kind: "opentelemetry",
  export: {
    kind: "grpc",
    collector: {
      cluster: "outbound|4317||otel.observe.svc.cluster.local",
      authority: "otel",
      timeoutMs: 5000,
      metadata: [["authorization", "Bearer x"]],
    },
  },
  serviceName: "waypoint.shop",
  sampler: undefined,
  resource: [["deployment", "blue"]],
};

export function tracingConfig(over: Partial<TracingConfig> = {}): TracingConfig {
  return {
    randomSamplingPercent: 100,
    clientSamplingPercent: 100,
    overallSamplingPercent: 100,
    maxPathTagLength: 256,
    verbose: false,
    operation: undefined,
    propagate: true,
    spawnUpstreamSpan: false,
    packTraceReason: true,
    sampleByRequestId: true,
    provider: zipkinProvider,
    customTags: [],
    ...over,
  };
}
