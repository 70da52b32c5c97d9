import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import {
  PluginConfigSchema,
  Reporter,
} from "../../../../../src/shared/wire/gen/stats/config_pb.js";
import { Notes } from "../../../../../src/waypoint/compile/notes.ts";
import { compileStats } from "../../../../../src/waypoint/compile/stats.ts";
import type { StatsConfig } from "../../../../../src/waypoint/telemetry/config.ts";
import { inertEnvironment } from "../../../../../src/waypoint/telemetry/environment.ts";
import { MAX_SERIES } from "../../../../../src/waypoint/telemetry/metrics/families.ts";
import { IstioMetrics } from "../../../../../src/waypoint/telemetry/metrics/istio-metrics.ts";
import type { StreamRecord } from "../../../../../src/waypoint/telemetry/record.ts";
import { FakeClock } from "../../../../support/clock.ts";
import {
  downstream,
  httpRecord,
  peer,
  requestHead,
  streamRecord,
  upstream,
} from "../../../../support/stream-record.ts";

const standard: StatsConfig = { tcpReportingDurationMs: 5000, overrides: new Map() };

function configured(metrics: MessageInitShape<typeof PluginConfigSchema>["metrics"]): {
  readonly config: StatsConfig;
  readonly notes: readonly string[];
} {
  const notes = new Notes();
  const message = create(PluginConfigSchema, {
    reporter: Reporter.SERVER_GATEWAY,
    disableHostHeaderFallback: true,
    metrics: metrics ?? [],
  });
  const config = compileStats(
    anyPack(PluginConfigSchema, message),
    "typed_config",
    notes,
    inertEnvironment(),
  );
  return { config, notes: notes.decorations };
}

interface Scene {
  readonly metrics: IstioMetrics;
  readonly clock: FakeClock;
  lines(name: string): string[];
}

function scene(): Scene {
  const clock = new FakeClock();
  const metrics = new IstioMetrics(clock, { istioVersion: "1.30.0" });
  const lines = (name: string): string[] =>
    metrics
      .render()
      .split("\n")
      .filter((line) => line.startsWith(`${name}{`));
  return { metrics, clock, lines };
}

const PEERS =
  'reporter="waypoint",source_workload="web",source_canonical_service="web",source_canonical_revision="v1",source_workload_namespace="shop",source_principal="spiffe://cluster.local/ns/shop/sa/web",source_app="web",source_version="v1",source_cluster="Kubernetes",destination_workload="reviews-v1",destination_workload_namespace="shop",destination_principal="spiffe://cluster.local/ns/shop/sa/reviews",destination_app="reviews",destination_version="v1",destination_service="reviews.shop.svc.cluster.local",destination_canonical_service="reviews",destination_canonical_revision="v1",destination_service_name="reviews",destination_service_namespace="shop",destination_cluster="Kubernetes"';
const OK = `${PEERS},request_protocol="http",response_code="200",grpc_response_status="",response_flags="-",connection_security_policy="mutual_tls"`;

function grpcRecord(over: Partial<StreamRecord> = {}, messages = 3): StreamRecord {
  return streamRecord({
    ...over,
    http: httpRecord({
      request: requestHead({}, ["content-type", "application/grpc"]),
      grpcStatus: "0",
      requestMessages: messages,
      responseMessages: 1,
    }),
  });
}

function tcpRecord(over: Partial<StreamRecord> = {}): StreamRecord {
  return streamRecord({ kind: "tcp", http: undefined, bytesReceived: 10, bytesSent: 20, ...over });
}

describe("the reference's metrics", () => {
  it("of a request, as scraped", () => {
    const { metrics } = scene();
    metrics.finished(standard, streamRecord(), undefined);
    const le = (name: string, counts: readonly (readonly [string, number])[]): string =>
      counts.map(([limit, count]) => `${name}_bucket{${OK},le="${limit}"} ${count}\n`).join("");
    const limits =
      "0.5 1 5 10 25 50 100 250 500 1000 2500 5000 10000 30000 60000 300000 600000 1800000 3600000 +Inf".split(
        " ",
      );
    const buckets = (name: string, value: number): string =>
      `# TYPE ${name} histogram\n${le(
        name,
        limits.map((limit) => [limit, limit === "+Inf" || value <= Number(limit) ? 1 : 0]),
      )}${name}_sum{${OK}} ${value}\n${name}_count{${OK}} 1\n`;
    assert.equal(
      metrics.render(),
      `# TYPE istio_build gauge\nistio_build{component="proxy",tag="1.30.0"} 1\n` +
        `# TYPE istio_requests_total counter\nistio_requests_total{${OK}} 1\n` +
        buckets("istio_request_duration_milliseconds", 5) +
        buckets("istio_request_bytes", 120) +
        buckets("istio_response_bytes", 1200),
    );
  });

  it("fall back where nothing is known", () => {
    const { metrics, lines } = scene();
    const unknown = streamRecord({
      source: undefined,
      downstream: downstream({ peerPrincipal: undefined }),
      upstream: undefined,
      flags: ["NR"],
      http: httpRecord({ status: 404 }),
    });
    metrics.finished(standard, unknown, undefined);
    assert.deepEqual(lines("istio_requests_total"), [
      'istio_requests_total{reporter="waypoint",source_workload="unknown",source_canonical_service="unknown",source_canonical_revision="latest",source_workload_namespace="unknown",source_principal="unknown",source_app="unknown",source_version="unknown",source_cluster="unknown",destination_workload="unknown",destination_workload_namespace="unknown",destination_principal="unknown",destination_app="unknown",destination_version="unknown",destination_service="unknown",destination_canonical_service="unknown",destination_canonical_revision="unknown",destination_service_name="unknown",destination_service_namespace="unknown",destination_cluster="unknown",request_protocol="http",response_code="404",grpc_response_status="",response_flags="NR",connection_security_policy="none"} 1',
    ]);
  });

  it("take the source's namespace from its certificate, and names of clusters that pass", () => {
    const { metrics, lines } = scene();
    const record = streamRecord({
      source: peer({ namespace: "node-shared" }),
      upstream: upstream({ cluster: "BlackHoleCluster", service: undefined, peer: undefined }),
    });
    metrics.finished(standard, record, undefined);
    const [line = ""] = lines("istio_requests_total");
    assert.match(line, /source_workload_namespace="shop"/);
    assert.match(line, /destination_service="unknown"/);
    assert.match(line, /destination_service_name="BlackHoleCluster"/);
  });

  it("keep kinds apart and add up within a kind", () => {
    const { metrics, lines } = scene();
    for (let round = 0; round < 3; round++) {
      metrics.finished(standard, streamRecord(), undefined);
      metrics.finished(standard, streamRecord({ flags: ["UF", "URX"] }), undefined);
      metrics.finished(
        standard,
        streamRecord({ downstream: downstream({ localPrincipal: undefined }) }),
        undefined,
      );
    }
    // Another configuration that says the same counts in the same series.
    metrics.finished({ ...standard }, streamRecord(), undefined);
    const counts = lines("istio_requests_total").map((line) => line.split(" ").at(-1));
    assert.deepEqual(counts, ["4", "3", "3"]);
  });

  it("count gRPC messages without the labels of the end", async () => {
    const { metrics, lines, clock } = scene();
    let messages = 1;
    const source = { record: () => grpcRecord({}, messages) };
    metrics.watch(standard, source);
    await clock.advance(5000);
    assert.deepEqual(lines("istio_request_messages_total"), [
      `istio_request_messages_total{${PEERS}} 1`,
    ]);
    messages = 4;
    metrics.finished(standard, grpcRecord({}, messages), source);
    assert.deepEqual(lines("istio_request_messages_total"), [
      `istio_request_messages_total{${PEERS}} 4`,
    ]);
    assert.deepEqual(lines("istio_response_messages_total"), [
      `istio_response_messages_total{${PEERS}} 1`,
    ]);
    assert.match(
      lines("istio_requests_total").join(),
      /request_protocol="grpc",response_code="200",grpc_response_status="0"/,
    );
    assert.equal(metrics.watchedCount, 0);
  });

  it("count TCP while it is open, with the labels of the first report", async () => {
    const { metrics, lines, clock } = scene();
    let record = tcpRecord({ bytesReceived: 0, bytesSent: 0 });
    const source = { record: () => record };
    metrics.watch(standard, source);
    await clock.advance(5000);
    assert.deepEqual(lines("istio_tcp_connections_opened_total"), [], "nothing has passed");
    record = tcpRecord();
    await clock.advance(5000);
    const labels = `${PEERS},request_protocol="tcp",response_flags="-",connection_security_policy="mutual_tls"`;
    assert.deepEqual(lines("istio_tcp_connections_opened_total"), [
      `istio_tcp_connections_opened_total{${labels}} 1`,
    ]);
    assert.deepEqual(lines("istio_tcp_sent_bytes_total"), [
      `istio_tcp_sent_bytes_total{${labels}} 20`,
    ]);
    assert.deepEqual(lines("istio_tcp_connections_closed_total"), []);
    metrics.finished(standard, tcpRecord({ bytesSent: 50, flags: ["DC"] }), source);
    assert.deepEqual(lines("istio_tcp_sent_bytes_total"), [
      `istio_tcp_sent_bytes_total{${labels}} 50`,
    ]);
    assert.deepEqual(lines("istio_tcp_received_bytes_total"), [
      `istio_tcp_received_bytes_total{${labels}} 10`,
    ]);
    assert.deepEqual(lines("istio_tcp_connections_closed_total"), [
      `istio_tcp_connections_closed_total{${labels}} 1`,
    ]);
    assert.deepEqual(lines("istio_tcp_connections_opened_total").length, 1);
  });

  it("count a short TCP connection at its end, with its flags", () => {
    const { metrics, lines } = scene();
    const source = { record: () => tcpRecord() };
    metrics.watch(standard, source);
    metrics.finished(standard, tcpRecord({ flags: ["UF"] }), source);
    for (const name of ["opened", "closed"])
      assert.match(lines(`istio_tcp_connections_${name}_total`).join(), /response_flags="UF".* 1$/);
  });

  it("close without anything left", () => {
    const { metrics, clock } = scene();
    metrics.watch(standard, { record: () => tcpRecord() });
    metrics.close();
    assert.equal(metrics.watchedCount, 0);
    assert.equal(clock.pending, 0);
  });
});

describe("overrides of metrics", () => {
  it("as recorded: a label more, one less, a metric less", () => {
    const { config } = configured([
      {
        name: "requests_total",
        dimensions: { request_path: "request.url_path" },
        tagsToRemove: ["source_version"],
      },
      { name: "request_bytes", drop: true },
    ]);
    const { metrics, lines } = scene();
    metrics.finished(config, streamRecord(), undefined);
    const [line = ""] = lines("istio_requests_total");
    assert.ok(!line.includes("source_version"));
    assert.match(line, /,connection_security_policy="mutual_tls",request_path="\/reviews\/1"\} 1$/);
    assert.deepEqual(lines("istio_request_bytes_count"), []);
    assert.match(lines("istio_response_bytes_count").join(), /source_version="v1"/);
  });

  it("replace in place, sort what is added, and say unknown for what fails", () => {
    const { config } = configured([
      {
        dimensions: {
          zeta: "request.headers['none']",
          alpha: "string(response.code) + 'x'",
          destination_app: "request.host",
        },
      },
    ]);
    const { metrics, lines } = scene();
    metrics.finished(config, streamRecord(), undefined);
    const [line = ""] = lines("istio_requests_total");
    assert.match(line, /destination_app="reviews\.shop",destination_version=/);
    assert.match(line, /alpha="200x",zeta="unknown"\} 1$/);
    metrics.finished(config, tcpRecord(), undefined);
    assert.match(
      lines("istio_tcp_connections_opened_total").join(),
      /destination_app="unknown".*alpha="unknown",zeta="unknown"/,
    );
  });

  it("skip what the reference skips, and list it", () => {
    const { config, notes } = configured([
      { name: "nope", drop: true },
      { drop: true },
      {
        name: "requests_total",
        tagsToRemove: ["no_label"],
        dimensions: { broken: "1 +", source_app: "(", old: "source_workload" },
      },
    ]);
    assert.deepEqual(
      notes.map((note) => note.split(": ")[0]),
      [
        "typed_config.metrics[0].name",
        "typed_config.metrics[1].name",
        "typed_config.metrics[2].tags_to_remove[0]",
        'typed_config.metrics[2].dimensions["broken"]',
        'typed_config.metrics[2].dimensions["old"]',
        'typed_config.metrics[2].dimensions["source_app"]',
      ],
    );
    const { metrics, lines } = scene();
    metrics.finished(config, streamRecord(), undefined);
    const [line = ""] = lines("istio_requests_total");
    assert.ok(!line.includes("source_app") && !line.includes("broken"));
    assert.match(line, /old="unknown"/);
  });

  it("escape label values", () => {
    const { config } = configured([{ name: "requests_total", dimensions: { x: "request.path" } }]);
    const { metrics, lines } = scene();
    const http = httpRecord({ request: requestHead({ path: '/a"b\\c' }) });
    metrics.finished(config, streamRecord({ http }), undefined);
    assert.match(lines("istio_requests_total").join(), /x="\/a\\"b\\\\c"\} 1$/);
  });

  it("bound the series that clients can make", () => {
    const { config } = configured([{ name: "requests_total", dimensions: { x: "request.path" } }]);
    const { metrics, lines } = scene();
    for (let round = 0; round < MAX_SERIES + 10; round++) {
      const http = httpRecord({ request: requestHead({ path: `/${round}` }) });
      metrics.finished(config, streamRecord({ http }), undefined);
    }
    const all = lines("istio_requests_total");
    assert.equal(all.length, MAX_SERIES + 1);
    assert.match(all.at(-1) ?? "", /x="overflow"\} 10$/);
  });
});
