/** VirtualServices at a waypoint: which count, in which order, and where they send to. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterNames, matchText, routes, targetText, view } from "./base.ts";

const vip = (rest: string) => `inbound-vip|${rest}.shop.svc.cluster.local`;
const reviews = vip("80|http|reviews");

function virtualService(name: string, spec: string, namespace = "shop", age = "") {
  const stamp = age === "" ? "" : `, creationTimestamp: "${age}"`;
  return `
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}, namespace: ${namespace}${stamp} }
spec: ${spec}
`;
}

const to = (host: string) => `route: [{ destination: { host: ${host} } }]`;

test("without a rule there is the default route", () => {
  const [only, ...others] = routes(view(""));
  assert.equal(others.length, 0);
  assert.equal(String(only?.["name"]), "default");
});

test("rules of several objects follow each other by age, each up to its catch-all", () => {
  const test = view(
    virtualService(
      "younger",
      `{ hosts: [reviews], http: [{ match: [{ uri: { prefix: /y } }], ${to("reviews")} }] }`,
      "shop",
      "2026-02-01T00:00:00Z",
    ) +
      virtualService(
        "older",
        `{ hosts: [reviews.shop.svc.cluster.local], http: [{ match: [{ uri: { prefix: /o } }, { uri: { prefix: / } }], ${to("reviews")} }, { ${to("ratings")} }] }`,
        "shop",
        "2026-01-01T00:00:00Z",
      ),
  );
  assert.deepEqual(routes(test).map(matchText), ["prefix /o", "prefix /", "prefix /y"]);
});

test("only the owners of the service and of the waypoint have a say, and gateways' rules have none", () => {
  const test = view(
    virtualService(
      "a",
      `{ hosts: [reviews.shop.svc.cluster.local], http: [{ ${to("old")} }] }`,
      "legacy",
    ) + virtualService("b", `{ hosts: [reviews], gateways: [edge], http: [{ ${to("ratings")} }] }`),
  );
  assert.deepEqual(routes(test).map(targetText), [reviews]);
});

test("what is kept to the namespace counts before what everybody sees", () => {
  const rule = (uri: string) =>
    `http: [{ match: [{ uri: { prefix: ${uri} } }], ${to("reviews")} }]`;
  const test = view(
    virtualService("a", `{ hosts: [reviews], ${rule("/all")} }`, "shop", "2026-01-01T00:00:00Z") +
      virtualService(
        "b",
        `{ hosts: [reviews], exportTo: ["."], ${rule("/own")} }`,
        "shop",
        "2026-02-01T00:00:00Z",
      ),
  );
  assert.deepEqual(routes(test).map(matchText), ["prefix /own", "prefix /all"]);
});

test("a match on labels of the client is dropped, one on another port or gateway is never met", () => {
  const test = view(
    virtualService(
      "a",
      `{ hosts: [reviews], http: [
        { match: [{ sourceLabels: { app: web } }, { uri: { prefix: /a } }], ${to("ratings")} },
        { match: [{ port: 81 }, { gateways: [edge] }, { sourceNamespace: legacy }], ${to("ratings")} },
        { match: [{ uri: { prefix: /b }, gateways: [mesh], sourceNamespace: shop, port: 80 }], ${to("ratings")} } ] }`,
    ),
  );
  assert.deepEqual(routes(test).map(matchText), ["prefix /a", "prefix /b"]);
});

test("own services by their clusters here, others as a caller reaches them, unknown ones nowhere", () => {
  const test = view(
    virtualService(
      "a",
      `{ hosts: [reviews], http: [
        { match: [{ uri: { prefix: /own } }], route: [{ destination: { host: ratings, port: { number: 9090 } } }] },
        { match: [{ uri: { prefix: /tcp } }], ${to("db")} },
        { match: [{ uri: { prefix: /away } }], ${to("old.legacy.svc.cluster.local")} },
        { match: [{ uri: { prefix: /none } }], ${to("none")} },
        { route: [{ destination: { host: reviews }, weight: 1 }, { destination: { host: ratings, port: { number: 9080 } }, weight: 0 }, { destination: { host: old.legacy.svc.cluster.local }, weight: 3 }] } ] }`,
    ),
  );
  assert.deepEqual(routes(test).map(targetText), [
    vip("9090|http|ratings"),
    vip("5432|tcp|db"),
    "outbound|8000||old.legacy.svc.cluster.local",
    vip("80|http|none"),
    `${reviews} 1, outbound|8000||old.legacy.svc.cluster.local 3`,
  ]);
  const called = clusterNames(test).filter((name) => name.startsWith("outbound"));
  assert.deepEqual(called, ["outbound|8000||old.legacy.svc.cluster.local"]);
});

test("a delegate fills in what its root leaves open, and only what the root lets through", () => {
  const test = view(
    virtualService(
      "root",
      `{ hosts: [reviews], http: [{ name: root, match: [{ uri: { prefix: /a } }], timeout: 2s, delegate: { name: leaf } }, { ${to("reviews")} }] }`,
    ) +
      virtualService(
        "leaf",
        `{ http: [
          { name: in, match: [{ uri: { prefix: /a/b }, method: { exact: GET } }], ${to("ratings")} },
          { name: out, match: [{ uri: { prefix: /c } }], ${to("ratings")} } ] }`,
      ),
  );
  const [first, second, ...others] = routes(test);
  assert.deepEqual(others, []);
  assert.equal(String(first?.["name"]), "root-in");
  assert.equal(matchText(first!), "prefix /a/b");
  assert.equal(String(first!["action"]!["value"]!["timeout"]!["seconds"]), "2n");
  assert.equal(targetText(second!), reviews);
});

test("a missing delegate leaves its part out", () => {
  const test = view(
    virtualService(
      "root",
      `{ hosts: [reviews], http: [{ delegate: { name: gone } }, { ${to("ratings")} }] }`,
    ),
  );
  assert.deepEqual(routes(test).map(targetText), [vip("80|http|ratings")]);
});

test("spans are named after where a route leads, or after the rule where it leads to several places", () => {
  const test = view(
    virtualService(
      "canary",
      `{ hosts: [reviews], http: [
        { match: [{ uri: { exact: /one } }], ${to("reviews")} },
        { route: [{ destination: { host: reviews }, weight: 1 }, { destination: { host: db }, weight: 1 }] } ] }`,
    ),
  );
  assert.deepEqual(
    routes(test).map((route) => String(route["decorator"]!["operation"])),
    ["reviews.shop.svc.cluster.local:80/one", "canary:80/*"],
  );
});
