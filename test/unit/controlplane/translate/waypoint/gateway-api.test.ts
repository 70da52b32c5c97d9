/** Routes of the Gateway API at a waypoint: order, faults, and what becomes of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { translate } from "../../../../support/translate.ts";
import { matchText, routes, targetText, view } from "./base.ts";

const vip = (rest: string) => `inbound-vip|${rest}.shop.svc.cluster.local`;

function route(kind: string, name: string, spec: string, age = "2026-01-01T00:00:00Z") {
  return `
---
apiVersion: gateway.networking.k8s.io/${kind === "TCPRoute" || kind === "TLSRoute" ? "v1alpha2" : "v1"}
kind: ${kind}
metadata: { name: ${name}, namespace: shop, creationTimestamp: "${age}" }
spec: ${spec}
`;
}

const parent = `parentRefs: [{ kind: Service, group: "", name: reviews }]`;
const backend = (name: string, port: number) => `backendRefs: [{ name: ${name}, port: ${port} }]`;

test("rules of all routes stand in one order: exact, longest prefix, expression, method, headers, age", () => {
  const test = view(
    route(
      "HTTPRoute",
      "a",
      `{ ${parent}, rules: [
        { matches: [{ path: { value: /a } }, { path: { value: /a }, headers: [{ name: x, value: y }] }], ${backend("reviews", 80)} },
        { matches: [{ path: { type: RegularExpression, value: "/a.*" } }, { path: { value: /a }, method: GET }], ${backend("reviews", 80)} } ] }`,
    ) +
      route(
        "GRPCRoute",
        "b",
        `{ ${parent}, rules: [{ matches: [{ method: { service: s.S, method: M } }, { method: { service: s.S } }, { method: { method: M } }], ${backend("reviews", 80)} }] }`,
        "2026-02-01T00:00:00Z",
      ) +
      route(
        "HTTPRoute",
        "c",
        `{ ${parent}, rules: [{ matches: [{ path: { value: /a/ } }, {}], ${backend("ratings", 9080)} }] }`,
        "2025-01-01T00:00:00Z",
      ),
  );
  assert.deepEqual(routes(test).map(matchText), [
    "path /s.S/M",
    "pathSeparatedPrefix /s.S",
    "pathSeparatedPrefix /a",
    "pathSeparatedPrefix /a",
    "pathSeparatedPrefix /a",
    "pathSeparatedPrefix /a",
    "prefix /",
  ]);
  // What stands behind a match of everything is never reached.
  assert.equal(String(routes(test)[2]!["match"]!["headers"]![0]!["name"]), ":method");
});

test("a route for one port leaves the others alone", () => {
  const text = route(
    "HTTPRoute",
    "a",
    `{ parentRefs: [{ kind: Service, group: "", name: ratings, port: 9090 }], rules: [{ ${backend("reviews", 80)} }] }`,
  );
  assert.deepEqual(routes(view(text), vip("9090|http|ratings")).map(targetText), [
    vip("80|http|reviews"),
  ]);
  assert.deepEqual(routes(view(text), vip("9080|http|ratings")).map(targetText), [
    vip("9080|http|ratings"),
  ]);
});

test("faults of one backend answer with an error for its share; others make the whole route void", () => {
  const share = route(
    "HTTPRoute",
    "a",
    `{ ${parent}, rules: [{ backendRefs: [{ name: reviews, port: 80 }, { name: gone, port: 80 }, { kind: Odd, group: x, name: y, weight: 2 }] }] }`,
  );
  assert.deepEqual(routes(view(share)).map(targetText), [
    `${vip("80|http|reviews")} 1, ${vip("80|http|gone")} 1, UnknownService 2`,
  ]);
  const voided = route(
    "HTTPRoute",
    "a",
    `{ ${parent}, rules: [{ ${backend("reviews", 80)} }, { backendRefs: [{ name: ratings }] }] }`,
  );
  assert.equal(String(routes(view(voided))[0]?.["name"]), "default");
});

test("without a backend of any weight the answer is 500", () => {
  const text = route(
    "HTTPRoute",
    "a",
    `{ ${parent}, rules: [{ backendRefs: [{ name: reviews, port: 80, weight: 0 }] }] }`,
  );
  const [only] = routes(view(text));
  assert.equal(targetText(only!), "directResponse");
  assert.equal(Number(only!["action"]!["value"]!["status"]), 500);
});

test("filters of a kind that nobody here knows make the route void", () => {
  const text = route(
    "HTTPRoute",
    "a",
    `{ ${parent}, rules: [{ filters: [{ type: ExtensionRef, extensionRef: { group: x, kind: y, name: z } }], ${backend("ratings", 9080)} }] }`,
  );
  assert.equal(String(routes(view(text))[0]?.["name"]), "default");
});

test("taking a prefix away keeps a slash, and takes expressions' signs as they are", () => {
  const text = route(
    "HTTPRoute",
    "a",
    `{ ${parent}, rules: [{ matches: [{ path: { value: /v1.2 } }], filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: / } } }], ${backend("reviews", 80)} }] }`,
  );
  const rewrite = routes(view(text))[0]!["action"]!["value"]!["regexRewrite"]!;
  assert.equal(String(rewrite["pattern"]!["regex"]), "^/v1\\.2(/?)(.*)");
  assert.equal(String(rewrite["substitution"]), "/\\2");
});

test("what became of a route is told by its conditions", () => {
  const text = `
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: v1
kind: Service
metadata: { name: reviews, namespace: shop }
spec: { clusterIP: 10.0.0.1, ports: [{ port: 80 }] }
${route("HTTPRoute", "a", `{ parentRefs: [{ kind: Service, group: "", name: reviews }, { kind: Service, group: "", name: gone }, { name: edge }], rules: [{ ${backend("none", 80)} }] }`)}`;
  const told = translate(text).conditions.map(
    ({ type, status, reason, message }) => `${type} ${status} ${reason}: ${message}`,
  );
  assert.deepEqual(told, [
    'Accepted False NoMatchingParent: Service gone: parent service: "gone" not found',
    "ResolvedRefs False BackendNotFound: Service gone: backend(none.shop.svc.cluster.local) not found",
    "ResolvedWaypoints True ResolvedWaypoints: Service gone: parent not found",
    "Accepted True Accepted: Service reviews: Route was valid",
    "ResolvedRefs False BackendNotFound: Service reviews: backend(none.shop.svc.cluster.local) not found",
    "ResolvedWaypoints True ResolvedWaypoints: Service reviews: istio.io/use-waypoint label missing from parent and parent namespace; in ambient mode, route will not be respected",
  ]);
});
