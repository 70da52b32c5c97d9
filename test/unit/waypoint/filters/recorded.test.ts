/** Every filter that the reference was recorded to send compiles, and decides as its policy says. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import type { HttpFilter } from "../../../../src/waypoint/filters/filter.ts";
import { head, TestConnection, TestRequest, verdictOf } from "../../../support/filters.ts";
import { chainOf, filtersOf, recordedChains } from "../../../support/recorded-filters.ts";

const HTTP_RBAC = "envoy.filters.http.rbac";
const REVIEWS = "inbound-vip|80|http|reviews.shop.svc.cluster.local";

const cases = readdirSync("test/golden").filter((name) => name.startsWith("l7-"));

test("every recorded filter compiles", () => {
  let filters = 0;
  let perRoute = 0;
  const compiled = new Map<string, number>();
  for (const golden of cases)
    for (const chain of recordedChains(golden)) {
      perRoute += chain.perRoute.length;
      for (const each of [...chain.network, ...chain.http]) {
        filters++;
        const key = each.kind === "filter" ? each.filter.name : each.role;
        compiled.set(key, (compiled.get(key) ?? 0) + 1);
      }
    }
  assert.equal(cases.length, 18);
  assert.ok(filters > 800, `${filters} filters`);
  assert.equal(perRoute, 7);
  assert.deepEqual([...compiled.keys()].sort(), [
    "envoy.filters.http.cors",
    "envoy.filters.http.fault",
    "envoy.filters.http.jwt_authn",
    "envoy.filters.http.rbac",
    "envoy.filters.network.rbac",
    "filter-state",
    "grpc-stats",
    "http-connection-manager",
    "peer-metadata",
    "router",
    "stats",
    "tcp-proxy",
  ]);
});

async function statusOf(filters: readonly HttpFilter[], request: TestRequest): Promise<number> {
  for (const filter of filters) {
    const verdict = await verdictOf(filter, request);
    if (verdict !== "continue") return verdict.status;
  }
  return 200;
}

test("an empty policy at the waypoint denies every request and connection", async () => {
  const golden = "l7-authz-deny-all-at-waypoint";
  const rbac = filtersOf(chainOf(golden, REVIEWS).http, HTTP_RBAC);
  assert.equal(rbac.length, 1);
  assert.equal(await statusOf(rbac, new TestRequest()), 403);
  const db = chainOf(golden, "inbound-vip|5432|tcp|db.shop.svc.cluster.local");
  const [filter] = filtersOf(db.network, "envoy.filters.network.rbac");
  assert.deepEqual(filter?.onConnection(new TestConnection({})), {
    kind: "close",
    flags: [],
    details: "rbac_access_denied_matched_policy[none]",
  });
});

test("a policy on a service denies what is not GET", async () => {
  const rbac = filtersOf(chainOf("l7-authz-deny-service", REVIEWS).http, HTTP_RBAC);
  assert.equal(await statusOf(rbac, new TestRequest()), 200);
  const request = new TestRequest({ head: head("/", {}, { method: "DELETE" }) });
  const [filter] = rbac;
  assert.ok(filter !== undefined);
  assert.deepEqual(await verdictOf(filter, request), {
    status: 403,
    body: "RBAC: access denied",
    details: "rbac_access_denied_matched_policy[ns[shop]-policy[svc]-rule[0]]",
    flags: [],
  });
  const [note, ...more] = request.notes;
  assert.deepEqual(more, []);
  assert.equal(note?.filter, HTTP_RBAC);
  assert.equal(note.outcome, "denied");
  assert.equal(
    note.reason,
    "DENY policy ns[shop]-policy[svc]-rule[0] matches because not method is GET (it is DELETE)",
  );
});

/** Of l7-authz-methods-paths: changes to a request that is allowed, and the status they lead to. */
const methodsAndPaths: readonly {
  readonly name: string;
  readonly path?: string;
  readonly method?: string;
  readonly authority?: string;
  readonly token?: string;
  readonly principal?: string;
  readonly source?: string;
  readonly port?: number;
  readonly status: number;
}[] = [
  { name: "as allowed", status: 200 },
  { name: "HEAD", method: "HEAD", status: 200 },
  { name: "POST", method: "POST", status: 403 },
  { name: "host in capitals", authority: "REVIEWS.shop", status: 200 },
  { name: "another host", authority: "ratings.shop", status: 403 },
  { name: "path by template", path: "/any/x/y/z", status: 200 },
  { name: "path by template, one segment too many", path: "/any/more/x/y", status: 403 },
  { name: "path by suffix, with a query", path: "/page.html?q=1", status: 200 },
  { name: "suffix only in the query", path: "/page?q=.html", status: 403 },
  { name: "excluded path", path: "/api/admin", status: 403 },
  { name: "another identity", principal: "spiffe://cluster.local/ns/shop/sa/db", status: 403 },
  { name: "excluded namespace", principal: "spiffe://cluster.local/ns/bad/sa/web", status: 403 },
  { name: "token without the prefix", token: "xabc", status: 403 },
  { name: "excluded address", source: "10.9.1.1", status: 403 },
  { name: "another port", port: 8080, status: 403 },
];

for (const each of methodsAndPaths)
  test(`a policy by identity, methods and paths: ${each.name}`, async () => {
    const rbac = filtersOf(chainOf("l7-authz-methods-paths", REVIEWS).http, HTTP_RBAC);
    const request = new TestRequest({
      head: head(
        each.path ?? "/api/v1",
        { "x-token": each.token ?? "abc1" },
        { method: each.method ?? "GET", authority: each.authority ?? "reviews" },
      ),
      downstream: {
        peerPrincipal: each.principal ?? "spiffe://cluster.local/ns/shop/sa/web",
        source: { ip: each.source ?? "10.10.1.10", port: 1 },
        destination: { ip: "10.96.1.1", port: each.port ?? 80 },
      },
    });
    assert.equal(await statusOf(rbac, request), each.status);
  });

test("a TCP chain without a policy that fits TCP denies everything", () => {
  const chain = chainOf("l7-authz-methods-paths", "inbound-vip|5432|tcp|db.shop.svc.cluster.local");
  const [filter] = filtersOf(chain.network, "envoy.filters.network.rbac");
  const connection = new TestConnection({});
  assert.equal((filter?.onConnection(connection) as { kind: string } | undefined)?.kind, "close");
  assert.equal(
    connection.notes[0]?.reason,
    "there is an ALLOW filter without a policy: nothing is allowed",
  );
});

test("claims decide: metadata of jwt_authn is what policies read", async () => {
  const rbac = filtersOf(chainOf("l7-jwt", REVIEWS).http, HTTP_RBAC);
  const payload = {
    iss: "https://issuer.example",
    sub: "u1",
    aud: ["shop"],
    groups: ["ops-1"],
    realm: { role: "x" },
    azp: "q",
  };
  const statusWith = (claims: object) =>
    statusOf(
      rbac,
      new TestRequest({
        metadata: { "envoy.filters.http.jwt_authn": { payload: { ...payload, ...claims } } },
      }),
    );
  assert.equal(await statusWith({}), 200);
  assert.equal(await statusWith({ groups: "admin" }), 200);
  assert.equal(await statusWith({ groups: ["dev"] }), 403);
  assert.equal(await statusWith({ sub: "" }), 403);
  assert.equal(await statusWith({ realm: { role: "y" } }), 403);
  assert.equal(await statusWith({ azp: "p" }), 403);
  assert.equal(await statusOf(rbac, new TestRequest()), 403);
});
