import assert from "node:assert/strict";
import { test } from "node:test";
import { Metrics, metricsContentType } from "../../../../src/shared/telemetry/metrics.ts";
import { createDnsMetrics } from "../../../../src/ztunnel/telemetry/dns-metrics.ts";
import { createZtunnelMetrics } from "../../../../src/ztunnel/telemetry/metrics.ts";

async function everything(): Promise<string> {
  const metrics = new Metrics();
  const ztunnel = createZtunnelMetrics(metrics, "1.2.3");
  const context = {
    reporter: "source",
    source: undefined,
    sourceIdentity: undefined,
    destination: undefined,
    destinationIdentity: undefined,
    service: undefined,
    mutualTls: false,
  } as const;
  const traffic = ztunnel.traffic(context);
  traffic.closed("DENY").value++;
  traffic.failed("DENY").value++;
  ztunnel.socketsOpen("source").value++;
  ztunnel.refused("destination", "bad-connect").value++;
  ztunnel.onDemandDns(context, "db.example");
  ztunnel.crlRejections("source").value++;
  ztunnel.crlUntracked("source").value++;
  ztunnel.xds.terminated("Reconnect");
  ztunnel.xds.message("type", 3);
  const dns = createDnsMetrics(metrics).series({
    requestQueryType: "A",
    requestProtocol: "udp",
    sourceCanonicalService: "cart",
    sourceCanonicalRevision: "v1",
  });
  dns.request();
  dns.upstreamRequest();
  dns.upstreamFailure();
  dns.upstreamDuration(0.05);
  return metrics.render();
}

/** Names as the scrape shows them, so a change here is a change for every dashboard. */
const names = [
  "ambit_connections_refused counter",
  "istio_build gauge",
  "istio_crl_policy_rejections counter",
  "istio_crl_untracked_connections counter",
  "istio_dns_requests counter",
  "istio_dns_upstream_failures counter",
  "istio_dns_upstream_request_duration_seconds histogram",
  "istio_dns_upstream_requests counter",
  "istio_on_demand_dns counter",
  "istio_tcp_connections_closed counter",
  "istio_tcp_connections_failed counter",
  "istio_tcp_connections_opened counter",
  "istio_tcp_received_bytes counter",
  "istio_tcp_sent_bytes counter",
  "istio_tcp_sockets_open gauge",
  "istio_xds_connection_terminations counter",
  "istio_xds_message counter",
  "istio_xds_message_bytes counter",
  "process_max_fds gauge",
  "process_open_fds gauge",
  "workload_manager_active_proxy_count gauge",
  "workload_manager_pending_proxy_count gauge",
  "workload_manager_proxies_started counter",
  "workload_manager_proxies_stopped counter",
];

test("all families, by name and type", async () => {
  const text = await everything();
  const found = [...text.matchAll(/^# TYPE (.+)$/gm)].map(([, name]) => name ?? "");
  assert.deepEqual(found.toSorted(), names);
});

test("help says unstable exactly where the reference's does", async () => {
  const text = await everything();
  const stable =
    /^(istio_build|istio_tcp_connections_(opened|closed)|istio_tcp_(received|sent)_bytes|process_.*)$/;
  for (const [, name = "", help = ""] of text.matchAll(/^# HELP (\S+) (.+)$/gm)) {
    assert.equal(help.includes("unstable"), !stable.test(name), name);
    assert.ok(help.endsWith("."), name);
  }
});

test("labels in the reference's order, missing ones unknown", async () => {
  const text = await everything();
  assert.match(
    text,
    /^istio_tcp_connections_closed_total\{reporter="source",source_workload="unknown",source_canonical_service="unknown",source_canonical_revision="unknown",source_workload_namespace="unknown",source_principal="unknown",source_app="unknown",source_version="unknown",source_cluster="unknown",destination_service="unknown",destination_service_namespace="unknown",destination_service_name="unknown",destination_workload="unknown",destination_canonical_service="unknown",destination_canonical_revision="unknown",destination_workload_namespace="unknown",destination_principal="unknown",destination_app="unknown",destination_version="unknown",destination_cluster="unknown",request_protocol="tcp",response_flags="DENY",connection_security_policy="unknown",source_region="unknown",source_zone="unknown",destination_region="unknown",destination_zone="unknown"\} 1$/m,
  );
  assert.match(text, /^istio_build\{component="ztunnel",tag="1\.2\.3"\} 1$/m);
  assert.match(
    text,
    /^ambit_connections_refused_total\{reporter="destination",reason="bad-connect"\} 1$/m,
  );
  assert.match(text, /^istio_xds_message_bytes_total\{url="type"\} 3$/m);
  assert.match(text, /^istio_dns_upstream_request_duration_seconds_bucket\{.*le="0\.1".*\} 1$/m);
});

test("the body ends with the OpenMetrics mark and has no family without samples", async () => {
  const text = await new Metrics().render();
  assert.equal(text, "# EOF\n");
  const metrics = new Metrics();
  createZtunnelMetrics(metrics, "x");
  const fresh = await metrics.render();
  assert.ok(fresh.endsWith("\n# EOF\n"));
  assert.ok(!fresh.includes("istio_tcp"));
});

test("label values are escaped", async () => {
  const metrics = new Metrics();
  metrics.counter({ name: "a", help: "h", labelNames: ["l"] }).series('q"b\\n\n').value = 1;
  assert.match(await metrics.render(), /^a_total\{l="q\\"b\\\\n\\n"\} 1$/m);
});

test("content negotiation", () => {
  assert.equal(metricsContentType(undefined), "text/plain; charset=utf-8");
  assert.equal(
    metricsContentType("application/openmetrics-text; version=1.0.0,text/plain;q=0.5"),
    "application/openmetrics-text;charset=utf-8;version=1.0.0",
  );
});
