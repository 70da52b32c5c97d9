/** The standard metrics by the short names of the configuration (wire/waypoint.md section 7.1). */

export const metricNames = [
  "requests_total",
  "request_duration_milliseconds",
  "request_bytes",
  "response_bytes",
  "request_messages_total",
  "response_messages_total",
  "tcp_connections_opened_total",
  "tcp_connections_closed_total",
  "tcp_sent_bytes_total",
  "tcp_received_bytes_total",
] as const;

export type MetricName = (typeof metricNames)[number];

export function isMetricName(text: string): text is MetricName {
  return (metricNames as readonly string[]).includes(text);
}

export const histogramNames = [
  "request_duration_milliseconds",
  "request_bytes",
  "response_bytes",
] as const satisfies readonly MetricName[];

export type HistogramName = (typeof histogramNames)[number];
export type CounterName = Exclude<MetricName, HistogramName>;

/** Standard labels; what a configuration may replace or remove. */
export const labelNames: ReadonlySet<string> = new Set([
  "reporter",
  "source_workload",
  "source_workload_namespace",
  "source_principal",
  "source_app",
  "source_version",
  "source_canonical_service",
  "source_canonical_revision",
  "source_cluster",
  "destination_workload",
  "destination_workload_namespace",
  "destination_principal",
  "destination_app",
  "destination_version",
  "destination_service",
  "destination_service_name",
  "destination_service_namespace",
  "destination_canonical_service",
  "destination_canonical_revision",
  "destination_cluster",
  "request_protocol",
  "response_flags",
  "connection_security_policy",
  "response_code",
  "grpc_response_status",
]);
