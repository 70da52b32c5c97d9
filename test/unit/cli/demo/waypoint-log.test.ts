import assert from "node:assert/strict";
import { test } from "node:test";
import { Picture } from "../../../../src/cli/demo/picture.ts";
import { EntryRecord } from "../../../../src/cli/demo/record.ts";
import { renderPicture } from "../../../../src/cli/demo/render.ts";
import { shop, WAYPOINT_SLOTS } from "../../../../src/cli/demo/shop.ts";
import {
  parseWaypointLine,
  refusingPolicy,
  type WaypointEntry,
} from "../../../../src/cli/demo/waypoint-log.ts";
import { layOut } from "../../../../src/cli/world/topology.ts";

const fields = {
  authority: "catalog",
  downstream_local_address: "10.96.0.11:80",
  downstream_remote_address: "10.10.1.10:60314",
  duration: 2,
  method: "GET",
  path: "/item/7",
  protocol: "HTTP/1.1",
  request_id: "e7",
  response_code: 200,
  response_code_details: "via_upstream",
  response_flags: "-",
  route_name: null,
  upstream_cluster: "inbound-vip|80|http|catalog.shop.svc.cluster.local",
  upstream_host: "envoy://connect_originate/10.10.1.12:8080",
};

function entry(changes: Readonly<Record<string, unknown>> = {}): WaypointEntry {
  const parsed = parseWaypointLine(JSON.stringify({ ...fields, ...changes }));
  assert.ok(parsed);
  return parsed;
}

const denied = {
  method: "DELETE",
  response_code: 403,
  response_code_details: "rbac_access_denied_matched_policy[ns[shop]-policy[no-delete]-rule[0]]",
  upstream_host: null,
};
const connection = { method: null, path: null, authority: null, response_code: 0 };

test("a request as the mesh's JSON tells it", () => {
  assert.deepEqual(entry(), {
    client: "10.10.1.10:60314",
    method: "GET",
    path: "/item/7",
    authority: "catalog",
    status: 200,
    flags: "",
    details: "via_upstream",
    cluster: "inbound-vip|80|http|catalog.shop.svc.cluster.local",
    upstream: "10.10.1.12:8080",
    route: "",
    requestId: "e7",
    durationMs: 2,
  });
  assert.equal(entry(connection).method, undefined);
});

test("other lines are no entries", () => {
  for (const line of ["", "ready", '{"broken', '{"scope":"access"}', '{"response_code":200}'])
    assert.equal(parseWaypointLine(line), undefined);
});

test("who refused", () => {
  assert.equal(refusingPolicy(entry()), undefined);
  assert.equal(refusingPolicy(entry(denied)), "shop/no-delete rule 0");
  const none = { response_code_details: "rbac_access_denied_matched_policy[none]" };
  assert.equal(refusingPolicy(entry(none)), "no allow policy matches");
  const token = { response_code_details: "jwt_authn_access_denied{Jwt_is_expired}" };
  assert.equal(refusingPolicy(entry(token)), "jwt_authn_access_denied{Jwt_is_expired}");
});

test("a record forgets its oldest entries and keeps its marks true", () => {
  const record = new EntryRecord<WaypointEntry>();
  for (let count = 0; count < 10_001; count++) record.add(entry());
  const mark = record.mark();
  assert.equal(mark, 10_001);
  record.add(entry({ path: "/new" }));
  assert.deepEqual(
    record.since(mark).map(({ path }) => path),
    ["/new"],
  );
});

test("requests stand in the picture beside connections, and running waypoints beside pods", () => {
  const picture = new Picture(layOut(shop));
  picture.setWaypoints(new Map([[WAYPOINT_SLOTS[0], 92.4]]));
  const failed = { response_code: 503, response_flags: "UH", response_code_details: "no_healthy" };
  for (const changes of [{}, {}, denied, { ...failed, upstream_host: null }, connection])
    picture.addWaypoint(entry(changes));
  const { connections } = picture.state();
  assert.deepEqual(
    connections.map(({ from, to, how, identity, verdict, why, count }) =>
      [from, to, how, identity, verdict, why, count].join("|"),
    ),
    [
      "web|catalog-v1|request|TCP|ok||1",
      "web|catalog|request|GET 503|failed|UH no_healthy|1",
      "web|catalog|request|DELETE 403|denied|shop/no-delete rule 0|1",
      "web|catalog-v1|request|GET 200|ok||2",
    ],
  );
  for (const columns of [72, 80, 120]) {
    const lines = renderPicture(picture.state(), { columns, rows: 30, color: false });
    for (const line of lines) assert.ok(line.length <= columns, `${line.length}: ${line}`);
    const text = lines.join("\n");
    assert.match(text, /wp-a +10\.10\.1\.\d+ +L7 92 MB/);
    assert.doesNotMatch(text, /wp-b/);
    assert.match(text, /web +-> catalog-v1 +waypoint GET 200 +2x +ok/);
    assert.match(text, /by shop\/no-delete rule 0/);
  }
});
