/**
 * What the DNS proxy counts (wire/ztunnel.md section 9.2). The metrics registry of the ztunnel implements this:
 *
 *   requests          istio_dns_requests_total
 *   upstreamRequests  istio_dns_upstream_requests_total
 *   upstreamFailures  istio_dns_upstream_failures_total
 *   upstreamSeconds   istio_dns_upstream_request_duration_seconds (0.0005, 0.001, 0.01, 0.1, 1, 5)
 */

/** One label set. Few of them exist: unknown types share one value, so a client cannot make up series. */
export interface DnsLabels {
  /** `A`, `AAAA`, `SRV`, …; `unknown` for types without a name. */
  readonly requestQueryType: string;
  readonly requestProtocol: DnsProtocol;
  /** `unknown` while the pod's own workload is not known. */
  readonly sourceCanonicalService: string;
  readonly sourceCanonicalRevision: string;
}

export type DnsProtocol = "udp" | "tcp";

/** The counters of one label set, resolved once and then kept by the caller. */
export interface DnsSeries {
  request(): void;
  upstreamRequest(): void;
  /** No usable answer came: timeout, connection error, no nameserver, too busy. An NXDOMAIN is an answer. */
  upstreamFailure(): void;
  upstreamDuration(seconds: number): void;
}

export interface DnsMetrics {
  series(labels: DnsLabels): DnsSeries;
}
