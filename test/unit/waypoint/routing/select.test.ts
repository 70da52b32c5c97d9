/** Envoy's own selection is held by test/contract/waypoint/routes; here is what it cannot be asked, and the reasons given. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Fields } from "../../../../src/waypoint/http/message.ts";
import type { Route } from "../../../../src/waypoint/model/route.ts";
import { describeMatch, explainRoute } from "../../../../src/waypoint/routing/explain.ts";
import { selectRoute } from "../../../../src/waypoint/routing/select.ts";
import { routeTable, virtualHost } from "../../../../src/waypoint/routing/table.ts";
import {
  head,
  prefix,
  routeTo,
  selectFacts,
  tableFrom,
  tableOf,
} from "../../../support/waypoint/routes.ts";

const facts = selectFacts();

describe("virtual hosts", () => {
  const table = tableFrom({
    virtualHosts: ["exact.test", "*.b.test", "*a.b.test", "www.*", "*"].map((domain) => ({
      name: domain,
      domains: [domain],
      routes: [routeTo(domain, prefix("/"))],
    })),
  });
  for (const [authority, expected] of [
    ["EXACT.test", "exact.test"],
    ["exact.test:80", "*"],
    ["x.b.test", "*.b.test"],
    ["aa.b.test", "*a.b.test"],
    [".b.test", "*"],
    ["www.a.b.test", "*a.b.test"],
    ["www.x", "www.*"],
    ["www.", "*"],
    ["", "*"],
  ] as const)
    test(`${authority} is ${expected}`, () =>
      assert.equal(selectRoute(table, head("/", { authority }), facts)?.name, expected));

  test("without a host for it there is no route", () => {
    const routes = [routeTo("r", prefix("/"))];
    const only = tableFrom({ virtualHosts: [{ name: "v", domains: ["a.test"], routes }] });
    const request = head("/", { authority: "b.test" });
    assert.equal(selectRoute(only, request, facts), undefined);
    assert.match(explainRoute(only, request, facts).reason, /no virtual host of .* "b\.test"/);
  });

  test("the port counts unless the table says otherwise", () => {
    const routes = [routeTo("r", prefix("/"))];
    const virtualHosts = [{ name: "v", domains: ["a.test", "[::1]"], routes }];
    const table = tableFrom({ virtualHosts, ignorePortInHostMatching: true });
    for (const authority of ["a.test:81", "a.test", "[::1]:80", "[::1]"])
      assert.equal(selectRoute(table, head("/", { authority }), facts)?.name, "r", authority);
  });
});

test("metadata, as JWT claims bring it", () => {
  const metadata = (value: string) => ({
    filter: "envoy.filters.http.jwt_authn",
    path: ["payload", "groups"].map((key) => ({ segment: { case: "key" as const, value: key } })),
    value: {
      matchPattern: {
        case: "orMatch" as const,
        value: {
          valueMatchers: [
            string(value),
            {
              matchPattern: {
                case: "listMatch" as const,
                value: { matchPattern: { case: "oneOf" as const, value: string(value) } },
              },
            },
          ],
        },
      },
    },
  });
  const table = tableOf([
    routeTo("admins", { ...prefix("/"), dynamicMetadata: [metadata("admin")] }),
    routeTo("others", prefix("/")),
  ]);
  const named = (groups: string | string[] | undefined) => {
    const payload = groups === undefined ? {} : { groups };
    const claims = new Map([["envoy.filters.http.jwt_authn", { payload }]]);
    return selectRoute(table, head("/"), selectFacts({ metadata: claims }))?.name;
  };
  assert.equal(named("admin"), "admins");
  assert.equal(named(["dev", "admin"]), "admins");
  assert.equal(named(["dev"]), "others");
  assert.equal(named(undefined), "others");
  const { passedOver } = explainRoute(table, head("/"), facts);
  assert.match(passedOver[0]?.reason ?? "", /^needs JWT claim groups "admin" or .*; it is absent$/);
});

function string(exact: string) {
  const match = { matchPattern: { case: "exact" as const, value: exact } };
  return { matchPattern: { case: "stringMatch" as const, value: match } };
}

test("a fraction takes its share of the draws", () => {
  const runtimeFraction = { defaultValue: { numerator: 25, denominator: 0 } };
  const table = tableOf([
    routeTo("quarter", { ...prefix("/"), runtimeFraction }),
    routeTo("rest", prefix("/")),
  ]);
  const at = (draw: number) =>
    selectRoute(table, head("/"), selectFacts({ random: () => draw }))?.name;
  assert.deepEqual([at(0), at(0.2499), at(0.25), at(0.99)], ["quarter", "quarter", "rest", "rest"]);
});

test("a CONNECT without a path is for connect matchers only", () => {
  const connect = { pathSpecifier: { case: "connectMatcher" as const, value: {} } };
  const table = tableOf([routeTo("all", prefix("")), routeTo("tunnel", connect)]);
  const request = head("", { method: "CONNECT" });
  assert.equal(selectRoute(table, request, facts)?.name, "tunnel");
});

test("each passed-over route has its reason, the chosen one what it asked for", () => {
  const header = (name: string, value: string) => ({
    name,
    headerMatchSpecifier: {
      case: "stringMatch" as const,
      value: { matchPattern: { case: "exact" as const, value } },
    },
  });
  const table = tableOf([
    routeTo("api", prefix("/api")),
    routeTo("jason", { ...prefix("/"), headers: [header("end-user", "jason")] }),
    routeTo("paged", { ...prefix("/"), queryParameters: [{ name: "page" }] }),
    routeTo("grpc", { ...prefix("/"), grpc: {} }),
    routeTo("get", { ...prefix("/"), headers: [header(":method", "GET")] }),
  ]);
  const request = head("/items?x=1", { fields: new Fields(["end-user", "joe"]) });
  const explained = explainRoute(table, request, facts);
  assert.equal(explained.route?.name, "get");
  assert.equal(explained.reason, 'a path that begins with "/", header :method "GET"');
  assert.deepEqual(
    explained.passedOver.map(({ reason }) => reason),
    [
      'needs a path that begins with "/api"; the path is "/items"',
      'needs header end-user "jason"; it is "joe"',
      "needs query parameter page present; it is absent",
      "is for gRPC; the content-type is absent",
    ],
  );
});

const segment = fc.constantFrom("a", "b", "ab", "c", "");
const path = fc.array(segment, { maxLength: 3 }).map((parts) => `/${parts.join("/")}`);
const matcher = fc.oneof(
  path.map((value): Route["path"] => ({ kind: "prefix", value, caseSensitive: true })),
  path.map((value): Route["path"] => ({ kind: "exact", value, caseSensitive: true })),
  path
    .filter((value) => value.length > 1 && !value.endsWith("/"))
    .map((value): Route["path"] => ({ kind: "separated-prefix", value, caseSensitive: true })),
  fc.constant<Route["path"]>({ kind: "exact", value: "/a", caseSensitive: false }),
);

test("the index of a large table changes nothing, and explaining agrees with selecting", () => {
  const [template] = tableOf([routeTo("r", prefix("/"))]).virtualHosts[0]?.routes ?? [];
  assert.ok(template !== undefined);
  fc.assert(
    fc.property(fc.array(matcher, { minLength: 24, maxLength: 60 }), path, (matchers, asked) => {
      const routes = matchers.map((one, index) => ({ ...template, name: `r${index}`, path: one }));
      const indexed = virtualHost("v", ["*"], routes);
      assert.ok(indexed.segments !== undefined);
      const table = routeTable("t", [indexed]);
      const linear = routeTable("t", [{ ...indexed, segments: undefined }]);
      const chosen = selectRoute(table, head(asked), facts);
      assert.equal(chosen, selectRoute(linear, head(asked), facts));
      const explained = explainRoute(table, head(asked), facts);
      assert.equal(explained.route, chosen);
      if (chosen !== undefined) assert.equal(explained.reason, describeMatch(chosen));
    }),
    { numRuns: 300 },
  );
});
