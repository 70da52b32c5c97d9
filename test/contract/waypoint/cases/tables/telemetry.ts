import assert from "node:assert/strict";
import { asks, type CaseTable, look, ordinary } from "../../../../support/waypoint/cases/looks.ts";

const to = "reviews:80";
const notEnvoy = "what counts requests is in the reference's build only";

/** The series of a metric whose labels contain these. */
function series(text: string, metric: string, ...labels: readonly string[]): readonly string[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${metric}{`) && labels.every((one) => line.includes(one)));
}

const line = (status: number, path: string, rest: string): RegExp =>
  new RegExp(
    `^\\[\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z\\] "GET ${path} HTTP/1.1" ${status} ${rest}`,
  );

export const telemetry: CaseTable = {
  golden: "l7-telemetry",
  looks: [
    ...ordinary("reviews", "ratings", "metrics", "db"),
    look(
      "an access log has the failures and nothing else, each line as the format says",
      async (mesh) => {
        await mesh.ask({ to, path: "/fine" });
        await mesh.ask({
          to,
          path: "/missing",
          headers: {
            "x-do": "status=404",
            "user-agent": "probe/1",
            "x-request-id": "11111111-2222-4333-8444-555555555555",
          },
        });
        await mesh.ask({ to, path: "/broken", headers: { "x-do": "status=500" } });
        const lines = await mesh.logLines(2);
        assert.equal(lines.filter((one) => /"GET \/fine /.test(one)).length, 0);
        const [missing = "", broken = ""] = ["/missing ", "/broken "].map((path) =>
          lines.find((one) => one.includes(path)),
        );
        assert.match(
          missing,
          line(
            404,
            "/missing",
            '- via_upstream - "-" 0 \\d+ \\d+ \\d+ "-" "probe/1" "11111111-2222-[49]333-8444-555555555555" "reviews.shop" ',
          ),
        );
        assert.match(
          missing,
          /" "[^"]*10\.10\.[12]\.11:8080[^"]*" inbound-vip\|80\|http\|reviews\.shop\.svc\.cluster\.local \S+ 10\.96\.1\.1:80 10\.10\.1\.10:\d+ - default$/,
        );
        assert.match(broken, line(500, "/broken", "- via_upstream - "));
      },
    ),
    look("failures without an application are logged too", async (mesh) => {
      const before = (await mesh.logLines(0)).length;
      await mesh.ask({ to, path: "/reset", headers: { "x-do": "reset" } });
      const lines = await mesh.logLines(before + 1);
      assert.match(
        lines.at(-1) ?? "",
        line(503, "/reset", "UC upstream_reset_before_response_started{connection_termination} - "),
      );
    }),
    look(
      "requests are counted with the labels of both sides, one more and one less",
      async (mesh) => {
        await mesh.ask({ to, path: "/counted?x=1" });
        const found = series(
          await mesh.metrics(),
          "istio_requests_total",
          'request_path="/counted"',
        );
        assert.equal(found.length, 1);
        for (const label of [
          'reporter="waypoint"',
          'source_workload="web-1"',
          'source_workload_namespace="shop"',
          'source_principal="spiffe://cluster.local/ns/shop/sa/web"',
          'destination_service="reviews.shop.svc.cluster.local"',
          'destination_service_name="reviews"',
          'destination_service_namespace="shop"',
          'destination_workload_namespace="shop"',
          'destination_principal="spiffe://cluster.local/ns/shop/sa/reviews"',
          'response_code="200"',
          'response_flags="-"',
          'request_protocol="http"',
          'connection_security_policy="mutual_tls"',
        ])
          assert.ok(found[0]?.includes(label), `${label} in ${found[0]}`);
        assert.doesNotMatch(found[0] ?? "", /source_version=/);
      },
      { notEnvoy },
    ),
    look(
      "what is switched off is not counted, what is not goes on",
      async (mesh) => {
        const text = await mesh.metrics();
        assert.deepEqual(series(text, "istio_request_bytes_count"), []);
        assert.ok(series(text, "istio_response_bytes_count").length > 0);
        assert.ok(series(text, "istio_request_duration_milliseconds_count").length > 0);
      },
      { notEnvoy },
    ),
    look(
      "connections are counted as well",
      async (mesh) => {
        await mesh.talk({ to: "db:5432", say: "ping", expectBytes: 10 });
        for (let waitedMs = 0; ; waitedMs += 50) {
          const found = series(
            await mesh.metrics(),
            "istio_tcp_connections_closed_total",
            'destination_workload="db-0"',
          );
          if (found.length > 0) break;
          assert.ok(waitedMs < 3000, "no series");
          await new Promise((done) => setTimeout(done, 50));
        }
      },
      { notEnvoy },
    ),
    asks(
      "requests go on as before",
      { to },
      { status: 200, seen: { "x-request-id": /^[0-9a-f-]{36}$/ } },
    ),
  ],
};
