import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { MeshError } from "../../../../src/shared/base/errors.ts";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { createLogger, LogFilter } from "../../../../src/shared/telemetry/logger.ts";
import { Metrics } from "../../../../src/shared/telemetry/metrics.ts";
import { createZtunnelMetrics } from "../../../../src/ztunnel/telemetry/metrics.ts";
import type { Party } from "../../../../src/ztunnel/telemetry/party.ts";
import { TrafficReporter } from "../../../../src/ztunnel/telemetry/report.ts";
import type { TrafficContext } from "../../../../src/ztunnel/telemetry/traffic.ts";

const startMs = Date.UTC(2026, 8, 1, 10, 20, 30, 456) + 0.789;

function party(displayName: string, workloadName: string, account: string): Party {
  return {
    displayName,
    workloadName,
    namespace: "shop",
    canonicalName: workloadName,
    app: workloadName,
    canonicalRevision: "v1",
    clusterId: "Kubernetes",
    region: "r",
    zone: "",
    identity: `spiffe://cluster.local/ns/shop/sa/${account}`,
  };
}

const cart = party("cart-6d4c9", "cart", "cart");
const stock = party("stock-5f7bd", "stock", "stock");
const context: TrafficContext = {
  reporter: "source",
  source: cart,
  sourceIdentity: cart.identity,
  destination: stock,
  destinationIdentity: stock.identity,
  service: { name: "stock", namespace: "shop", hostname: "stock.shop.svc.cluster.local" },
  mutualTls: true,
};
const facts = {
  direction: "outbound",
  source: { ip: ipOf("10.244.1.7"), port: 41022 },
  destination: { ip: ipOf("10.244.2.9"), port: 15008 },
  hboneAuthority: "10.244.2.9:8080",
} as const;

function setUp(format: "plain" | "json", filter = "info") {
  const lines: string[] = [];
  let elapsedMs = 0;
  const clock = { ...systemClock, wallMs: () => startMs, monotonicMs: () => elapsedMs };
  const logger = createLogger(
    { clock, filter: new LogFilter(filter), format, write: (line) => lines.push(line) },
    "access",
  );
  const metrics = new Metrics();
  const reporter = new TrafficReporter(createZtunnelMetrics(metrics, "test"), logger, clock);
  return {
    lines,
    metrics,
    reporter,
    pass: (ms: number) => {
      elapsedMs += ms;
    },
  };
}

test("the line of a good connection, byte for byte", () => {
  const { lines, reporter, pass } = setUp("plain");
  const report = reporter.open(facts, context);
  report.follow(() => ({ toServer: 184, toClient: 5120 }));
  pass(12.9);
  report.end();
  report.end();
  assert.deepEqual(lines, [
    '2026-09-01T10:20:30.456789Z\tinfo\taccess\tconnection complete\tsrc.addr=10.244.1.7:41022 src.workload="cart-6d4c9" src.namespace="shop" src.identity="spiffe://cluster.local/ns/shop/sa/cart" src.cluster="Kubernetes" dst.addr=10.244.2.9:15008 dst.hbone_addr=10.244.2.9:8080 dst.service="stock.shop.svc.cluster.local" dst.workload="stock-5f7bd" dst.namespace="shop" dst.identity="spiffe://cluster.local/ns/shop/sa/stock" dst.cluster="Kubernetes" direction="outbound" bytes_sent=184 bytes_recv=5120 duration="12ms"\n',
  ]);
});

test("inbound: bytes as the server's application sees them; what is unknown is left out", () => {
  const { lines, reporter } = setUp("plain");
  const report = reporter.open(
    { ...facts, direction: "inbound", hboneAuthority: undefined },
    {
      ...context,
      reporter: "destination",
      source: undefined,
      sourceIdentity: undefined,
      destinationIdentity: undefined,
      service: undefined,
      mutualTls: false,
    },
  );
  report.follow(() => ({ toServer: 11, toClient: 22 }));
  report.end(
    new MeshError("policy-denied", "connection closed due to policy rejection: x"),
    "a/b rule 0",
  );
  assert.equal(
    lines[0]?.split("\t").slice(1).join("\t"),
    'error\taccess\tconnection complete\tsrc.addr=10.244.1.7:41022 dst.addr=10.244.2.9:15008 dst.workload="stock-5f7bd" dst.namespace="shop" dst.cluster="Kubernetes" direction="inbound" bytes_sent=22 bytes_recv=11 duration="0ms" error="connection closed due to policy rejection: x" policy="a/b rule 0"\n',
  );
});

test("JSON: one flat object a line", () => {
  const { lines, reporter } = setUp("json");
  reporter.open(facts, context).end();
  assert.deepEqual(JSON.parse(lines[0] ?? ""), {
    level: "info",
    time: "2026-09-01T10:20:30.456789Z",
    scope: "access",
    message: "connection complete",
    "src.addr": "10.244.1.7:41022",
    "src.workload": "cart-6d4c9",
    "src.namespace": "shop",
    "src.identity": "spiffe://cluster.local/ns/shop/sa/cart",
    "src.cluster": "Kubernetes",
    "dst.addr": "10.244.2.9:15008",
    "dst.hbone_addr": "10.244.2.9:8080",
    "dst.service": "stock.shop.svc.cluster.local",
    "dst.workload": "stock-5f7bd",
    "dst.namespace": "shop",
    "dst.identity": "spiffe://cluster.local/ns/shop/sa/stock",
    "dst.cluster": "Kubernetes",
    direction: "outbound",
    bytes_sent: 0,
    bytes_recv: 0,
    duration: "0ms",
  });
});

test("opening is logged at debug, refusals without context at warn", () => {
  const { lines, reporter } = setUp("plain", "access=debug");
  reporter.open(facts, context);
  reporter.earlyDeny("outbound", facts.source, facts.destination, {
    code: "bad-connect",
    message: 'say "no"\n\u001b',
  });
  assert.match(
    lines[0] ?? "",
    /\tdebug\taccess\tconnection opened\tsrc\.addr=.* direction="outbound"\n$/,
  );
  assert.equal(
    lines[1]?.split("\t").slice(1).join("\t"),
    'warn\taccess\tconnection failed\tsrc.addr=10.244.1.7:41022 dst.addr=10.244.2.9:15008 direction="outbound" error="say \\"no\\"\\n\\u{1b}"\n',
  );
});

test("bytes of open connections are counted when metrics are printed, each byte once", async () => {
  const { metrics, reporter } = setUp("plain", "off");
  metrics.beforeRender(() => reporter.flush());
  const report = reporter.open(facts, context);
  let toServer = 5;
  report.follow(() => ({ toServer, toClient: 7 }));
  const received = /^istio_tcp_received_bytes_total\{.*\} (\d+)$/m;
  assert.equal(received.exec(await metrics.render())?.[1], "5");
  assert.equal(received.exec(await metrics.render())?.[1], "5");
  toServer = 9;
  report.end(new MeshError("connect-timeout-hbone", "x"));
  const text = await metrics.render();
  assert.equal(received.exec(text)?.[1], "9");
  assert.match(text, /^istio_tcp_sent_bytes_total\{.*response_flags="-".*\} 7$/m);
  assert.match(
    text,
    /^istio_tcp_connections_closed_total\{.*response_flags="NETWORK_POLICY".*\} 1$/m,
  );
  assert.match(
    text,
    /^istio_tcp_connections_failed_total\{.*response_flags="NETWORK_POLICY".*\} 1$/m,
  );
});
