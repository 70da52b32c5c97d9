/** Policies at a waypoint: to whom they apply, in which order, and what becomes of rules that cannot be kept. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { withAliases } from "../../../../../src/controlplane/translate/waypoint/policies/trust-domains.ts";
import { filter, filterNames, type Plain, view } from "./base.ts";

const HTTP = "envoy.filters.http.rbac";
const TCP = "envoy.filters.network.rbac";
const db = "inbound-vip|5432|tcp|db.shop.svc.cluster.local";

function policy(name: string, spec: string, namespace = "shop", annotations = "{}") {
  return `
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: ${namespace}, annotations: ${annotations} }
spec: ${spec}
`;
}

const at = (kind: string, name: string) => {
  const group = kind === "Service" ? "" : "gateway.networking.k8s.io";
  return `targetRefs: [{ kind: ${kind}, group: "${group}", name: ${name} }]`;
};

const providers = `
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data:
  mesh: |
    extensionProviders:
    - { name: http, envoyExtAuthzHttp: { service: reviews.shop.svc.cluster.local, port: 80 } }
    - { name: grpc, envoyExtAuthzGrpc: { service: reviews.shop.svc.cluster.local, port: 80 } }
    - { name: lost, envoyExtAuthzGrpc: { service: nobody.shop.svc.cluster.local, port: 80 } }
`;

const rbacs = (names: readonly string[]) =>
  names.filter((name) => name.includes("rbac") || name.includes("ext_authz"));

test("policies of the service, its waypoint and the class apply; others do not", () => {
  const test = view(
    policy("a", `{ ${at("Service", "reviews")}, action: DENY }`) +
      policy("b", `{ ${at("Gateway", "waypoint")}, action: DENY }`) +
      policy("c", `{ ${at("GatewayClass", "istio-waypoint")}, action: DENY }`, "istio-system") +
      policy("d", `{ ${at("GatewayClass", "istio-waypoint")}, action: DENY }`) +
      policy("e", `{ ${at("Service", "ratings")}, action: DENY }`) +
      policy("f", `{ ${at("Service", "reviews")}, action: DENY }`, "legacy") +
      policy("g", "{ action: DENY }") +
      policy("h", "{ selector: { matchLabels: { app: reviews } }, action: DENY }"),
  );
  assert.deepEqual(Object.keys(filter(test, HTTP)["rules"]!["policies"]!).sort(), [
    "ns[istio-system]-policy[c]-rule[0]",
    "ns[shop]-policy[a]-rule[0]",
    "ns[shop]-policy[b]-rule[0]",
  ]);
});

test("custom, then audit, deny, allow", () => {
  const spec = (action: string, more = "") =>
    `{ ${at("Service", "reviews")}, action: ${action}, rules: [{}]${more} }`;
  const test = view(
    providers +
      policy("a", spec("ALLOW")) +
      policy("b", spec("DENY")) +
      policy("c", spec("AUDIT")) +
      policy("d", spec("CUSTOM", ", provider: { name: http }")),
  );
  assert.deepEqual(rbacs(filterNames(test)), [
    HTTP,
    "envoy.filters.http.ext_authz",
    HTTP,
    HTTP,
    HTTP,
  ]);
});

test("a dry run is tried and has no effect", () => {
  const test = view(
    policy(
      "a",
      `{ ${at("Service", "reviews")}, action: DENY }`,
      "shop",
      '{ istio.io/dry-run: "true" }',
    ),
  );
  const rbac = filter(test, HTTP);
  assert.equal(rbac["rules"], undefined);
  assert.equal(Object.keys(rbac["shadowRules"]!["policies"]!).length, 1);
  assert.equal(String(rbac["shadowRulesStatPrefix"]), "istio_dry_run_deny_");
});

test("on connections a rule about requests allows nothing, and denies without that part", () => {
  const rules = "rules: [{ to: [{ operation: { paths: [/a], ports: ['5432'] } }] }]";
  const allow = view(policy("a", `{ ${at("Service", "db")}, action: ALLOW, ${rules} }`));
  assert.deepEqual(Object.keys(filter(allow, TCP, db)["rules"]!["policies"]!), []);
  const deny = view(policy("a", `{ ${at("Service", "db")}, action: DENY, ${rules} }`));
  const [made] = Object.values(filter(deny, TCP, db)["rules"]!["policies"]!) as unknown as Plain[];
  const parts = made!["permissions"]![0]!["rule"]!["value"]!["rules"]!;
  assert.equal([...parts].length, 1);
});

test("an authorizer that is not there, or one of two, means no for whatever the rules match", () => {
  const spec = (name: string) =>
    `{ ${at("Service", "reviews")}, action: CUSTOM, provider: { name: ${name} }, rules: [{}] }`;
  const lost = view(providers + policy("a", spec("lost")));
  assert.deepEqual(rbacs(filterNames(lost)), [HTTP]);
  assert.deepEqual(Object.keys(filter(lost, HTTP)["rules"]!["policies"]!), [
    "istio-ext-authz-lost-ns[shop]-policy[a]-rule[0]-deny-due-to-bad-CUSTOM-action",
  ]);
  const two = view(providers + policy("a", spec("http")) + policy("b", spec("grpc")));
  assert.deepEqual(rbacs(filterNames(two)), [HTTP, HTTP]);
});

test("only an authorizer over gRPC is asked about connections", () => {
  const spec = (name: string) =>
    `{ ${at("Service", "db")}, action: CUSTOM, provider: { name: ${name} }, rules: [{}] }`;
  assert.deepEqual(rbacs(filterNames(view(providers + policy("a", spec("grpc"))), db)), [
    TCP,
    "envoy.filters.network.ext_authz",
  ]);
  assert.deepEqual(rbacs(filterNames(view(providers + policy("a", spec("http"))), db)), []);
});

test("an identity stands for all names of the mesh's trust domain", () => {
  const domains = ["mesh.a", "mesh.b"];
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["cluster.local/ns/x/sa/y", ["mesh.a/ns/x/sa/y", "mesh.b/ns/x/sa/y"]],
    ["mesh.b/ns/x/sa/y", ["mesh.a/ns/x/sa/y", "mesh.b/ns/x/sa/y"]],
    ["other/ns/x/sa/y", ["other/ns/x/sa/y"]],
    ["*/ns/x/sa/y", ["*/ns/x/sa/y"]],
    ["*.b/ns/x/sa/y", ["mesh.a/ns/x/sa/y", "*.b/ns/x/sa/y"]],
    ["*", ["*"]],
    ["sa/y", ["sa/y"]],
  ];
  for (const [principal, expected] of cases)
    assert.deepEqual(withAliases([principal], domains), expected, principal);
});

test("tokens of several issuers: one is enough, and each that is sent must be good", () => {
  const test = view(
    `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: two, namespace: shop }
spec:
  ${at("Service", "reviews")}
  jwtRules:
  - { issuer: b, jwksUri: "https://b/keys" }
  - { issuer: a, jwks: '{"keys":[{"kty":"oct","k":"Yg"}]}' }
`,
    { keySets: new Map([["https://b/keys", "fetched"]]) },
  );
  const config = filter(test, "envoy.filters.http.jwt_authn");
  const keys = (name: string) =>
    String(config["providers"]![name]!["jwksSourceSpecifier"]!["value"]!["specifier"]!["value"]);
  assert.deepEqual(
    [keys("origins-0"), keys("origins-1")],
    ['{"keys":[{"kty":"oct","k":"Yg"}]}', "fetched"],
  );
  const any =
    config["rules"]![0]!["requirementType"]!["value"]!["requiresType"]!["value"]!["requirements"]!;
  assert.deepEqual(
    [...any].map((one) => String(one["requiresType"]!["case"])),
    ["providerName", "providerName", "requiresAll"],
  );
});

test("until keys are fetched a set stands in that no token fits", () => {
  const test = view(`
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: one, namespace: shop }
spec: { ${at("Service", "reviews")}, jwtRules: [{ issuer: b, jwksUri: "https://b/keys" }] }
`);
  const config = filter(test, "envoy.filters.http.jwt_authn");
  const keys =
    config["providers"]!["origins-0"]!["jwksSourceSpecifier"]!["value"]!["specifier"]!["value"]!;
  assert.match(String(keys), /^\{"keys":\[\{"kty":"RSA"/);
});
