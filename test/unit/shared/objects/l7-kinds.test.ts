/** The kinds that act at a waypoint: read in every served version, refused with the place of the fault. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyContent, updateContent } from "../../../../src/shared/objects/file/content.ts";

interface ObjectText {
  readonly apiVersion: string;
  readonly kind: string;
  readonly spec: unknown;
}

function read({ apiVersion, kind, spec }: ObjectText) {
  const text = JSON.stringify({
    apiVersion,
    kind,
    metadata: { name: "x", namespace: "shop" },
    spec,
  });
  return updateContent(emptyContent("x.yaml"), text);
}

/** `path: reason` of each fault. */
function faults(object: ObjectText): readonly string[] {
  return read(object).problems.map(({ path, reason }) => `${path}: ${reason}`);
}

const route = [{ destination: { host: "reviews" } }];

function virtualService(rule: object): ObjectText {
  const spec = { hosts: ["reviews"], http: [rule] };
  return { apiVersion: "networking.istio.io/v1", kind: "VirtualService", spec };
}

function destinationRule(trafficPolicy: object): ObjectText {
  const spec = { host: "reviews", trafficPolicy };
  return { apiVersion: "networking.istio.io/v1", kind: "DestinationRule", spec };
}

function tokens(rule: object): ObjectText {
  const spec = { jwtRules: [{ issuer: "a", ...rule }] };
  return { apiVersion: "security.istio.io/v1", kind: "RequestAuthentication", spec };
}

function httpRoute(rule: object): ObjectText {
  const spec = { rules: [rule] };
  return { apiVersion: "gateway.networking.k8s.io/v1", kind: "HTTPRoute", spec };
}

const versions: Readonly<Record<string, readonly [object, ...string[]]>> = {
  VirtualService: [
    { hosts: ["a"], http: [{ route }] },
    ...["v1", "v1beta1", "v1alpha3"].map((version) => `networking.istio.io/${version}`),
  ],
  DestinationRule: [
    { host: "a" },
    ...["v1", "v1beta1", "v1alpha3"].map((version) => `networking.istio.io/${version}`),
  ],
  RequestAuthentication: [{}, "security.istio.io/v1", "security.istio.io/v1beta1"],
  Telemetry: [{}, "telemetry.istio.io/v1", "telemetry.istio.io/v1alpha1"],
  HTTPRoute: [{ rules: [{}] }, "gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"],
  GRPCRoute: [
    { rules: [{}] },
    "gateway.networking.k8s.io/v1",
    "gateway.networking.k8s.io/v1alpha2",
  ],
  TCPRoute: [{ rules: [{}] }, "gateway.networking.k8s.io/v1alpha2"],
  TLSRoute: [
    { rules: [{}] },
    "gateway.networking.k8s.io/v1alpha2",
    "gateway.networking.k8s.io/v1alpha3",
  ],
  ReferenceGrant: [{ from: [], to: [] }, "gateway.networking.k8s.io/v1beta1"],
};

for (const [kind, [spec, ...apiVersions]] of Object.entries(versions))
  test(`${kind} is read in every version that is served`, () => {
    for (const apiVersion of apiVersions) {
      const content = read({ apiVersion, kind, spec });
      assert.deepEqual([content.problems, content.skipped], [[], []], apiVersion);
    }
  });

const refused: readonly (readonly [ObjectText, string])[] = [
  [virtualService({ route, timeuot: "1s" }), "spec.http[0].timeuot"],
  [virtualService({ route, timeout: "1 second" }), "spec.http[0].timeout"],
  [
    virtualService({ match: [{ uri: { regex: "(?=a)" } }], route }),
    "spec.http[0].match[0].uri.regex",
  ],
  [
    virtualService({ match: [{ headers: { "x a": { exact: "b" } } }], route }),
    'spec.http[0].match[0].headers["x a"]',
  ],
  [
    virtualService({ match: [{ uri: { exact: "/", prefix: "/" } }], route }),
    "spec.http[0].match[0].uri",
  ],
  [virtualService({}), "spec.http[0]"],
  [virtualService({ route, redirect: { uri: "/" } }), "spec.http[0]"],
  [virtualService({ route: [...route, ...route] }), "spec.http[0].route"],
  [virtualService({ route, fault: { delay: { percent: 5 } } }), "spec.http[0].fault.delay"],
  [
    virtualService({ route, fault: { abort: { grpcStatus: "BROKEN" } } }),
    "spec.http[0].fault.abort.grpcStatus",
  ],
  [
    virtualService({ route, rewrite: { uriRegexRewrite: { match: "\\1", rewrite: "/" } } }),
    "spec.http[0].rewrite.uriRegexRewrite.match",
  ],
  [
    virtualService({ route, retries: { perTryTimeout: "0.1ms" } }),
    "spec.http[0].retries.perTryTimeout",
  ],
  [
    destinationRule({ loadBalancer: { simple: "RANDOM", consistentHash: { useSourceIp: true } } }),
    "spec.trafficPolicy.loadBalancer",
  ],
  [
    destinationRule({ loadBalancer: { consistentHash: {} } }),
    "spec.trafficPolicy.loadBalancer.consistentHash",
  ],
  [destinationRule({ tls: { mode: "MUTUAL" } }), "spec.trafficPolicy.tls"],
  [
    destinationRule({ outlierDetection: { maxEjectionPercent: 101 } }),
    "spec.trafficPolicy.outlierDetection.maxEjectionPercent",
  ],
  [destinationRule({ portLevelSettings: [{}] }), "spec.trafficPolicy.portLevelSettings[0].port"],
  [
    destinationRule({
      loadBalancer: { localityLbSetting: { distribute: [{ from: "a/*", to: { "a/*": 90 } }] } },
    }),
    "spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[0]",
  ],
  [tokens({ issuer: "" }), "spec.jwtRules[0].issuer"],
  [tokens({ jwks: "{}" }), "spec.jwtRules[0].jwks"],
  [tokens({ jwksUri: "ftp://a" }), "spec.jwtRules[0].jwksUri"],
  [tokens({ jwks: '{"keys":[]}' }), "spec.jwtRules[0].jwks"],
  [tokens({ jwksUri: "https://a", jwks: '{"keys":[{"kty":"oct","k":"Yg"}]}' }), "spec.jwtRules[0]"],
  [tokens({ fromHeaders: [{ name: "a b" }] }), "spec.jwtRules[0].fromHeaders[0].name"],
  [
    httpRoute({ matches: [{ path: { type: "RegularExpression", value: "(" } }] }),
    "spec.rules[0].matches[0].path.value",
  ],
  [httpRoute({ matches: [{ path: { value: "a" } }] }), "spec.rules[0].matches[0].path.value"],
  [httpRoute({ filters: [{ type: "URLRewrite" }] }), "spec.rules[0].filters[0]"],
  [
    httpRoute({
      filters: [{ type: "URLRewrite", urlRewrite: { path: { type: "ReplaceFullPath" } } }],
    }),
    "spec.rules[0].filters[0]",
  ],
];

for (const [object, place] of refused)
  test(`${object.kind} is refused at ${place}`, () => {
    const [first = "nothing", ...others] = faults(object);
    assert.deepEqual(others, []);
    assert.ok(first.startsWith(`${place}: `), first);
  });

test("a rule of a piece for others cannot delegate further", () => {
  const spec = { http: [{ delegate: { name: "b" } }] };
  const object = { apiVersion: "networking.istio.io/v1", kind: "VirtualService", spec };
  assert.match(faults(object)[0] ?? "", /^spec\.http\[0\]\.delegate: /);
});
