import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Metrics, metricsContentType } from "../../../../src/shared/telemetry/metrics.ts";
import { createDnsMetrics } from "../../../../src/ztunnel/telemetry/dns-metrics.ts";
import { createZtunnelMetrics } from "../../../../src/ztunnel/telemetry/metrics.ts";
import type { Party } from "../../../../src/ztunnel/telemetry/party.ts";
import { createRuntimeMetrics } from "../../../../src/ztunnel/telemetry/runtime-metrics.ts";

const cart: Party = {
  displayName: "cart-1",
  workloadName: "cart",
  namespace: "shop",
  canonicalName: "cart-service",
  app: "cart-app",
  canonicalRevision: "v1",
  clusterId: "c1",
  region: "r1",
  zone: "z1",
  identity: "spiffe://cluster.local/ns/shop/sa/cart",
};
const stock: Party = {
  displayName: "stock-1",
  workloadName: "stock",
  namespace: "store",
  canonicalName: "stock-service",
  app: "stock-app",
  canonicalRevision: "v2",
  clusterId: "c2",
  region: "r2",
  zone: "z2",
  identity: "spiffe://cluster.local/ns/store/sa/stock",
};

async function everything(): Promise<string> {
  const metrics = new Metrics();
  const ztunnel = createZtunnelMetrics(metrics, "1.2.3");
  createRuntimeMetrics(metrics, { openConnections: 7, takenConnections: 9 });
  const traffic = ztunnel.traffic({
    reporter: "source",
    source: cart,
    sourceIdentity: cart.identity,
    destination: stock,
    destinationIdentity: stock.identity,
    service: { name: "stock", namespace: "store", hostname: "stock.store.svc.cluster.local" },
    mutualTls: true,
  });
  traffic.closed("DENY").value++;
  traffic.failed("DENY").value++;
  ztunnel.socketsOpen("source").value++;
  ztunnel.onDemandDns(cart, "db.example");
  ztunnel.crlRejections("source").value++;
  ztunnel.crlUntracked("destination").value++;
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

const sourceLabels =
  'source_workload="cart",source_canonical_service="cart-service",source_canonical_revision="v1",source_workload_namespace="shop",source_principal="spiffe://cluster.local/ns/shop/sa/cart",source_app="cart-app",source_version="v1",source_cluster="c1"';
const trafficLabels = (flag: string): string =>
  `{reporter="source",${sourceLabels},destination_service="stock.store.svc.cluster.local",destination_service_namespace="store",destination_service_name="stock",destination_workload="stock",destination_canonical_service="stock-service",destination_canonical_revision="v2",destination_workload_namespace="store",destination_principal="spiffe://cluster.local/ns/store/sa/stock",destination_app="stock-app",destination_version="v2",destination_cluster="c2",request_protocol="tcp",response_flags="${flag}",connection_security_policy="mutual_tls",source_region="r1",source_zone="z1",destination_region="r2",destination_zone="z2"}`;
const dnsLabels =
  'request_query_type="A",request_protocol="udp",source_canonical_service="cart",source_canonical_revision="v1"';
const numbers = "<n>";

/**
 * The whole scrape, so that a change here is a change for every dashboard: families with their types, samples with their
 * labels in order. Numbers that are the machine's are left out.
 */
const golden = `
ambit_worker_connections counter
ambit_worker_connections_total{worker="0"} 9
istio_build gauge
istio_build{component="ztunnel",tag="1.2.3"} 1
istio_crl_policy_rejections counter
istio_crl_policy_rejections_total{reporter="source"} 1
istio_crl_untracked_connections counter
istio_crl_untracked_connections_total{reporter="destination"} 1
istio_dns_requests counter
istio_dns_requests_total{${dnsLabels}} 1
istio_dns_upstream_failures counter
istio_dns_upstream_failures_total{${dnsLabels}} 1
istio_dns_upstream_request_duration_seconds histogram
istio_dns_upstream_request_duration_seconds_bucket{le="0.0005",${dnsLabels}} 0
istio_dns_upstream_request_duration_seconds_bucket{le="0.001",${dnsLabels}} 0
istio_dns_upstream_request_duration_seconds_bucket{le="0.01",${dnsLabels}} 0
istio_dns_upstream_request_duration_seconds_bucket{le="0.1",${dnsLabels}} 1
istio_dns_upstream_request_duration_seconds_bucket{le="1",${dnsLabels}} 1
istio_dns_upstream_request_duration_seconds_bucket{le="5",${dnsLabels}} 1
istio_dns_upstream_request_duration_seconds_bucket{le="+Inf",${dnsLabels}} 1
istio_dns_upstream_request_duration_seconds_sum{${dnsLabels}} 0.05
istio_dns_upstream_request_duration_seconds_count{${dnsLabels}} 1
istio_dns_upstream_requests counter
istio_dns_upstream_requests_total{${dnsLabels}} 1
istio_on_demand_dns counter
istio_on_demand_dns_total{${sourceLabels},hostname="db.example"} 1
istio_tcp_connections_closed counter
istio_tcp_connections_closed_total${trafficLabels("DENY")} 1
istio_tcp_connections_failed counter
istio_tcp_connections_failed_total${trafficLabels("DENY")} 1
istio_tcp_connections_opened counter
istio_tcp_connections_opened_total${trafficLabels("-")} 0
istio_tcp_received_bytes counter
istio_tcp_received_bytes_total${trafficLabels("-")} 0
istio_tcp_sent_bytes counter
istio_tcp_sent_bytes_total${trafficLabels("-")} 0
istio_tcp_sockets_open gauge
istio_tcp_sockets_open{reporter="source"} 1
istio_xds_connection_terminations counter
istio_xds_connection_terminations_total{reason="Reconnect"} 1
istio_xds_message counter
istio_xds_message_total{url="type"} 1
istio_xds_message_bytes counter
istio_xds_message_bytes_total{url="type"} 3
process_max_fds gauge
process_max_fds ${numbers}
process_open_fds gauge
process_open_fds ${numbers}
tokio_global_queue_depth gauge
tokio_global_queue_depth 0
tokio_num_alive_tasks gauge
tokio_num_alive_tasks 7
tokio_num_workers gauge
tokio_num_workers 1
tokio_worker_park_count counter
tokio_worker_park_count_total{worker="0"} ${numbers}
tokio_worker_park_unpark_count counter
tokio_worker_park_unpark_count_total{worker="0"} ${numbers}
tokio_worker_total_busy_duration_seconds counter
tokio_worker_total_busy_duration_seconds_total{worker="0"} ${numbers}
workload_manager_active_proxy_count gauge
workload_manager_active_proxy_count 0
workload_manager_pending_proxy_count gauge
workload_manager_pending_proxy_count 0
workload_manager_proxies_started counter
workload_manager_proxies_started_total 0
workload_manager_proxies_stopped counter
workload_manager_proxies_stopped_total 0`.trim();

test("every family, sample and label, in order", async () => {
  const families = (await everything())
    .replace(/^((?:process|tokio_worker)_.*) [\d.e-]+$/gm, `$1 ${numbers}`)
    .split(/^(?=# HELP)/m)
    .map((family) => family.replace(/^# (HELP.*\n|TYPE |EOF\n)/gm, "").trim());
  assert.deepEqual(
    families.toSorted(),
    golden.split(/\n(?=\S+ (?:gauge|counter|histogram)$)/m).toSorted(),
  );
});

test("help says unstable exactly where the reference's does", async () => {
  const text = await everything();
  const stable =
    /^(istio_build|istio_tcp_connections_(opened|closed)|istio_tcp_(received|sent)_bytes|process_.*|tokio_.*)$/;
  for (const [, name = "", help = ""] of text.matchAll(/^# HELP (\S+) (.+)$/gm)) {
    assert.equal(help.includes("unstable"), !stable.test(name), name);
    assert.ok(help.endsWith("."), name);
  }
});

test("what is not known is unknown", async () => {
  const metrics = new Metrics();
  createZtunnelMetrics(metrics, "x").traffic({
    reporter: "source",
    source: undefined,
    sourceIdentity: undefined,
    destination: undefined,
    destinationIdentity: undefined,
    service: undefined,
    mutualTls: false,
  });
  const line = /^istio_tcp_connections_opened_total\{(.*)\} 0$/m.exec(await metrics.render());
  const values = (line?.[1] ?? "").split(",").map((pair) => pair.split("=")[1]);
  assert.deepEqual([...new Set(values)], ['"source"', '"unknown"', '"tcp"', '"-"']);
  assert.equal(values.length, 27);
});

test("the machine's numbers are those of this process", async () => {
  const metrics = new Metrics();
  createRuntimeMetrics(metrics, { openConnections: 0, takenConnections: 0 });
  const read = async (name: string): Promise<number> =>
    Number(new RegExp(`^${name}(?:\\{.*\\})? (.+)$`, "m").exec(await metrics.render())?.[1]);
  const before = await read("process_open_fds");
  const files = [openSync("/dev/null", "r"), openSync("/dev/null", "r")];
  assert.equal((await read("process_open_fds")) - before, 2);
  for (const file of files) closeSync(file);
  assert.ok((await read("process_max_fds")) >= before);
  // The event loop's own clock begins with its first turn.
  await delay(1);
  const busyBefore = await read("tokio_worker_total_busy_duration_seconds_total");
  const untilMs = performance.now() + 60;
  while (performance.now() < untilMs) Math.sqrt(untilMs);
  const parksBefore = await read("tokio_worker_park_count_total");
  await delay(20);
  const busy = (await read("tokio_worker_total_busy_duration_seconds_total")) - busyBefore;
  assert.ok(busy >= 0.055 && busy < 5, `${busy} s`);
  const parks = await read("tokio_worker_park_count_total");
  assert.ok(parks > parksBefore);
  assert.ok((await read("tokio_worker_park_unpark_count_total")) >= 2 * parks);
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
