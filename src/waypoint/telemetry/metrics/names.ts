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
