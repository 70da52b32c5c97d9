import assert from "node:assert/strict";
import { test } from "node:test";
import { metricsPage } from "../../../../src/waypoint/admin/native-metrics.ts";
import { tagged } from "../../../../src/waypoint/admin/stat-tags.ts";

/** As Envoy 1.40.0 prints these stats when it is given the tags of the reference's bootstrap. */
const printed = {
  "http.inbound_0.0.0.0_80;.rbac.allowed":
    'http.rbac{authz_enforce_result="allowed",http_conn_manager_prefix="inbound_0.0.0.0_80"}',
  "http.inbound_0.0.0.0_80;.rbac.istio_dry_run_deny_.shadow_denied":
    'http.rbac{authz_dry_run_action="deny",authz_dry_run_result="denied",http_conn_manager_prefix="inbound_0.0.0.0_80"}',
  "http.inbound_0.0.0.0_80;.rbac.istio_ext_authz_.shadow_allowed":
    'http.rbac.istio_ext_authz_{authz_dry_run_result="allowed",http_conn_manager_prefix="inbound_0.0.0.0_80"}',
  "tcp.rbac.denied": 'tcp{authz_enforce_result="denied",tcp_prefix="rbac"}',
  "tcp.rbac.istio_dry_run_allow_.shadow_allowed":
    'tcp{authz_dry_run_action="allow",authz_dry_run_result="allowed",tcp_prefix="rbac.istio_dry_run_allow_"}',
  "cluster_manager.cds.update_success": "cluster_manager.cds.update_success",
  "http.connect_terminate.downstream_cx_active": "http.connect_terminate.downstream_cx_active",
};

for (const [stat, expected] of Object.entries(printed))
  test(`the tags of ${stat}`, () => {
    const { name, labels } = tagged(stat);
    assert.equal(name + labels, expected);
  });

test("series of one name stand together, whatever stands between their stats", async () => {
  const stats = new Map([
    ["http.inbound_0.0.0.0_80;.rbac.denied", 2],
    ["server.live", 1],
    ["http.inbound_0.0.0.0_81;.rbac.denied", 3],
  ]);
  const page = await metricsPage(
    () => "",
    () => stats,
  ).render();
  assert.deepEqual(page.trimEnd().split("\n"), [
    "# TYPE envoy_http_rbac counter",
    'envoy_http_rbac{authz_enforce_result="denied",http_conn_manager_prefix="inbound_0.0.0.0_80"} 2',
    'envoy_http_rbac{authz_enforce_result="denied",http_conn_manager_prefix="inbound_0.0.0.0_81"} 3',
    "# TYPE envoy_server_live gauge",
    "envoy_server_live 1",
    "# EOF",
  ]);
});
