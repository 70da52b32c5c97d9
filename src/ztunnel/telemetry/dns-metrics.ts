/** The DNS proxy's counters in the metrics registry (wire/ztunnel.md section 9.2). */
import type { Metrics } from "../../shared/telemetry/metrics.ts";
import type { DnsMetrics, DnsSeries } from "../dns/metrics.ts";

const labelNames = [
  "request_query_type",
  "request_protocol",
  "source_canonical_service",
  "source_canonical_revision",
] as const;

export function createDnsMetrics(metrics: Metrics): DnsMetrics {
  const requests = metrics.counter({
    name: "istio_dns_requests",
    help: "Total number of DNS requests (unstable)",
    labelNames,
  });
  const upstreamRequests = metrics.counter({
    name: "istio_dns_upstream_requests",
    help: "Total number of DNS requests forwarded to upstream (unstable)",
    labelNames,
  });
  const upstreamFailures = metrics.counter({
    name: "istio_dns_upstream_failures",
    help: "Total number of DNS requests that failed to be forwarded to upstream (unstable)",
    labelNames,
  });
  const upstreamSeconds = metrics.histogram({
    name: "istio_dns_upstream_request_duration_seconds",
    help: "Total time in seconds Istio takes to get DNS response from upstream (unstable)",
    labelNames: [...labelNames],
    buckets: [0.0005, 0.001, 0.01, 0.1, 1, 5],
  });
  const known = new Map<string, DnsSeries>();
  return {
    series: (labels) => {
      const values = [
        labels.requestQueryType,
        labels.requestProtocol,
        labels.sourceCanonicalService,
        labels.sourceCanonicalRevision,
      ] as const;
      const key = values.join("\u0000");
      let series = known.get(key);
      if (series === undefined) {
        const all = requests.series(...values);
        series = {
          request: () => {
            all.value++;
          },
          upstreamRequest: () => {
            upstreamRequests.series(...values).value++;
          },
          upstreamFailure: () => {
            upstreamFailures.series(...values).value++;
          },
          upstreamDuration: (seconds) => upstreamSeconds.labels(...values).observe(seconds),
        };
        known.set(key, series);
      }
      return series;
    },
  };
}
