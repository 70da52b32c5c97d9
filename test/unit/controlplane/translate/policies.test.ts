import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshState } from "../../../../src/controlplane/translate/translate.ts";
import type { PolicyMatch } from "../../../../src/shared/model/policy.ts";
import { cidrText } from "../../../../src/shared/net/cidr.ts";
import {
  gateway,
  istio,
  namespace,
  pod,
  service,
  translate,
  workloadOf,
} from "../../../support/translate.ts";

/** Only the fields of a match that say something. */
function show(match: PolicyMatch): string {
  const parts = Object.entries(match).flatMap(([field, values]: [string, readonly unknown[]]) =>
    values.length === 0 ? [] : [`${field}=${values.map(showValue).join("|")}`],
  );
  return parts.join("&") || "never";
}

function showValue(value: unknown): string {
  if (typeof value === "number") return String(value);
  const it = value as Record<string, string>;
  if ("bytes" in it) return cidrText(value as Parameters<typeof cidrText>[0]);
  if ("kind" in it) return it["kind"] === "presence" ? "*" : `${it["kind"]}:${it["value"]}`;
  return `${it["namespace"]}/${it["serviceAccount"]}`;
}

function rules(state: MeshState, key: string): string[] {
  const policy = state.policies.get(key);
  if (policy === undefined) return ["not sent"];
  return policy.rules.map(
    ({ clauses }) =>
      clauses.map(({ matches }) => matches.map(show).join(" or ")).join(" and ") || "always",
  );
}

const policy = (spec: Record<string, unknown>, metadata: Record<string, unknown> = {}) =>
  istio("AuthorizationPolicy", "p", spec, metadata);
const condition = (state: MeshState) => {
  const [found] = state.conditions;
  return found === undefined ? "none" : `${found.type} ${found.status} ${found.reason}`;
};

test("scope: selector, namespace, root namespace", () => {
  const scope = (spec: Record<string, unknown>, metadata = {}) =>
    [...translate(policy(spec, metadata)).policies.values()][0]?.scope;
  assert.equal(scope({ selector: { matchLabels: { app: "a" } } }), "WorkloadSelector");
  assert.equal(scope({}), "Namespace");
  assert.equal(scope({}, { namespace: "istio-system" }), "Global");
  assert.equal(
    scope({ selector: { matchLabels: { app: "a" } } }, { namespace: "istio-system" }),
    "WorkloadSelector",
  );
  assert.equal(
    scope({ selector: {} }),
    "Namespace",
    "an empty selector selects all of the namespace",
  );
});

test("a selector policy is named by the workloads that it matches, one of the root namespace anywhere", () => {
  const selector = { matchLabels: { app: "a" } };
  const state = translate([
    policy({ selector }),
    istio("AuthorizationPolicy", "q", { selector }, { namespace: "istio-system" }),
    istio("AuthorizationPolicy", "r", { selector }, { namespace: "elsewhere" }),
    istio("AuthorizationPolicy", "s", {}),
    pod("a"),
    pod("b"),
  ]);
  assert.deepEqual(workloadOf(state, "a").authorizationPolicies, ["istio-system/q", "shop/p"]);
  assert.deepEqual(workloadOf(state, "b").authorizationPolicies, []);
});

test("every attribute of a source and of a destination", () => {
  const source = {
    principals: ["*", "*/sa/a", "cluster.local/ns/x/*", "exact"],
    notNamespaces: ["a"],
    serviceAccounts: ["own", "other/their"],
    ipBlocks: ["10.0.0.5/8", "::1"],
  };
  const state = translate(
    policy({
      rules: [{ from: [{ source }], to: [{ operation: { ports: ["80"], notPorts: ["90"] } }] }],
    }),
  );
  assert.deepEqual(rules(state, "shop/p"), [
    "destinationPorts=80&notDestinationPorts=90 and " +
      "notNamespaces=exact:a&principals=*|suffix:/sa/a|prefix:cluster.local/ns/x/|exact:exact&serviceAccounts=shop/own|other/their&sourceIps=10.0.0.5/8|::1/128",
  ]);
  assert.equal(condition(state), "ZtunnelAccepted True Accepted");
});

test("conditions of a rule are clauses of their own", () => {
  const when = [
    { key: "source.principal", values: ["a*"] },
    { key: "source.namespace", notValues: ["b"] },
    { key: "source.ip", values: ["1.1.1.1"], notValues: ["2.2.2.2"] },
    { key: "destination.ip", values: ["3.3.3.3"] },
    { key: "destination.port", values: ["80"], notValues: ["81"] },
  ];
  assert.deepEqual(rules(translate(policy({ rules: [{ when }] })), "shop/p"), [
    "principals=prefix:a and notNamespaces=exact:b and sourceIps=1.1.1.1/32&notSourceIps=2.2.2.2/32 and destinationIps=3.3.3.3/32 and destinationPorts=80&notDestinationPorts=81",
  ]);
});

test("no rules, an empty rule", () => {
  assert.deepEqual(rules(translate(policy({})), "shop/p"), []);
  assert.deepEqual(rules(translate(policy({ rules: [{}] })), "shop/p"), ["always"]);
});

const l4 = { from: [{ source: { namespaces: ["a"] } }] };
const http: readonly [string, Record<string, unknown>][] = [
  ["methods", { to: [{ operation: { methods: ["GET"] } }] }],
  ["paths beside ports", { to: [{ operation: { notPaths: ["/x"], ports: ["80"] } }] }],
  ["hosts", { to: [{ operation: { hosts: ["a"] } }] }],
  ["request principals", { from: [{ source: { requestPrincipals: ["*"] } }] }],
  [
    "remote addresses",
    { from: [{ source: { notRemoteIpBlocks: ["1.1.1.1"], namespaces: ["x"] } }] },
  ],
  ["trust domains", { from: [{ source: { trustDomains: ["x"], namespaces: ["x"] } }] }],
  ["a header", { when: [{ key: "request.headers[x]", values: ["a"] }] }],
  ["a claim", { when: [{ key: "request.auth.claims[iss]", values: ["a"] }] }],
  ["sni", { when: [{ key: "connection.sni", values: ["a"] }] }],
  ["a service account as a condition", { when: [{ key: "source.serviceAccount", values: ["a"] }] }],
];

for (const [what, rule] of http)
  test(`${what}: never lets more through`, () => {
    const allow = translate(policy({ action: "ALLOW", rules: [rule, l4] }));
    assert.deepEqual(
      rules(allow, "shop/p"),
      ["namespaces=exact:a"],
      "the rule is left out of an ALLOW",
    );
    assert.equal(condition(allow), "ZtunnelAccepted True UnsupportedValue");
    const deny = translate(policy({ action: "DENY", rules: [rule] }));
    assert.equal(rules(deny, "shop/p").length, 1, "and stays in a DENY without the attribute");
    assert.match(deny.conditions[0]?.message ?? "", /is enforced without them|is not enforced/);
  });

test("a DENY of which nothing can be evaluated says that it is not enforced, and what to do", () => {
  const state = translate(
    policy({ action: "DENY", rules: [{ to: [{ operation: { methods: ["GET"] } }] }] }),
  );
  assert.deepEqual(rules(state, "shop/p"), ["never"]);
  assert.match(state.conditions[0]?.message ?? "", /not enforced.*waypoint.*targetRefs/s);
});

test("what never reaches a node proxy: targets, other actions, dry runs", () => {
  for (const [spec, metadata, expected] of [
    [{ targetRefs: [{ kind: "Service", name: "x" }] }, {}, "WaypointAccepted False TargetNotFound"],
    [
      { targetRef: { kind: "Gateway", group: "gateway.networking.k8s.io", name: "x" } },
      {},
      "WaypointAccepted False TargetNotFound",
    ],
    [{ action: "AUDIT" }, {}, "ZtunnelAccepted False UnsupportedValue"],
    [{ action: "CUSTOM", provider: { name: "x" } }, {}, "ZtunnelAccepted False UnsupportedValue"],
    [{}, { annotations: { "istio.io/dry-run": "true" } }, "ZtunnelAccepted False UnsupportedValue"],
  ] as const) {
    const state = translate([policy(spec, metadata), pod("a")]);
    assert.deepEqual([state.policies.size, condition(state)], [0, expected]);
  }
  const enabled = translate(policy({}, { annotations: { "istio.io/dry-run": "true" } }), {
    settings: { dryRunPolicies: true },
  });
  assert.equal(enabled.policies.get("shop/p")?.dryRun, true);
});

test("targets: bound, without a waypoint, of the wrong kind", () => {
  const target = (ref: Record<string, unknown>, ns = "shop") => {
    const state = translate([
      namespace("shop"),
      gateway("wp"),
      service("wp"),
      service("bound", { labels: { "istio.io/use-waypoint": "wp" } }),
      service("alone"),
      policy({ targetRefs: [ref] }, { namespace: ns }),
    ]);
    const found = state.conditions.find(({ type }) => type === "WaypointAccepted");
    return `${found?.status} ${found?.reason}`;
  };
  assert.equal(target({ kind: "Gateway", name: "wp" }), "True Accepted");
  assert.equal(target({ kind: "Service", name: "bound" }), "True Accepted");
  assert.equal(target({ kind: "Service", name: "alone" }), "False AncestorNotBound");
  assert.equal(target({ kind: "Pod", name: "x" }), "False Invalid");
  assert.equal(target({ kind: "GatewayClass", name: "istio-waypoint" }), "False Invalid");
  assert.equal(
    target({ kind: "GatewayClass", name: "istio-waypoint" }, "istio-system"),
    "False TargetNotFound",
  );
});

const strict = "istio-system/istio_converted_static_strict";
const own = "shop/converted_peer_authentication_own";
const mode = (value: string) => ({ mtls: { mode: value } });

/** Modes of mesh, namespace, workload and its ports → names that the workload carries, and the port policy's rules. */
const peerCases: readonly [
  string,
  string | undefined,
  string | undefined,
  string | undefined,
  Record<string, string>,
  string[],
  string[],
][] = [
  ["nothing", undefined, undefined, undefined, {}, [], []],
  ["mesh strict", "STRICT", undefined, undefined, {}, [strict], []],
  ["namespace opens", "STRICT", "PERMISSIVE", undefined, {}, [], []],
  ["namespace unset inherits", "STRICT", "UNSET", undefined, {}, [strict], []],
  ["namespace strict", undefined, "STRICT", undefined, {}, [strict], []],
  ["workload opens", "STRICT", "STRICT", "PERMISSIVE", {}, [], []],
  ["workload disables", "STRICT", undefined, "DISABLE", {}, [], []],
  ["workload strict", undefined, undefined, "STRICT", {}, [strict], []],
  [
    "strict port of an open workload",
    undefined,
    undefined,
    "PERMISSIVE",
    { 90: "STRICT", 80: "STRICT" },
    [own],
    ["notPrincipals=*&destinationPorts=80", "notPrincipals=*&destinationPorts=90"],
  ],
  [
    "strict port of an unset workload",
    undefined,
    undefined,
    "UNSET",
    { 80: "STRICT" },
    [own],
    ["notPrincipals=*&destinationPorts=80"],
  ],
  [
    "open port of a strict workload",
    undefined,
    undefined,
    "STRICT",
    { 80: "PERMISSIVE" },
    [own],
    ["notPrincipals=* and notDestinationPorts=80"],
  ],
  [
    "disabled port of a strict workload",
    undefined,
    undefined,
    "STRICT",
    { 80: "DISABLE" },
    [own],
    ["notPrincipals=* and notDestinationPorts=80"],
  ],
  [
    "open port under a strict namespace",
    undefined,
    "STRICT",
    "UNSET",
    { 80: "PERMISSIVE" },
    [own],
    ["notDestinationPorts=80 and notPrincipals=*"],
  ],
  [
    "open port under a strict mesh",
    "STRICT",
    undefined,
    "UNSET",
    { 80: "PERMISSIVE", 81: "STRICT" },
    [own],
    ["notDestinationPorts=80 and notPrincipals=*"],
  ],
  [
    "strict port under a strict mesh changes nothing",
    "STRICT",
    undefined,
    "UNSET",
    { 80: "STRICT" },
    [strict],
    [],
  ],
  [
    "strict port of an open workload under a strict mesh",
    "STRICT",
    undefined,
    "PERMISSIVE",
    { 80: "STRICT" },
    [own],
    ["notPrincipals=*&destinationPorts=80"],
  ],
  [
    "open port under an unset namespace of a strict mesh",
    "STRICT",
    "UNSET",
    "UNSET",
    { 80: "PERMISSIVE" },
    [own],
    ["notDestinationPorts=80 and notPrincipals=*"],
  ],
];

for (const [what, mesh, ns, workload, ports, expected, portRules] of peerCases)
  test(`PeerAuthentication: ${what}`, () => {
    const portLevelMtls = Object.fromEntries(
      Object.entries(ports).map(([port, value]) => [port, { mode: value }]),
    );
    const selected = {
      selector: { matchLabels: { app: "a" } },
      ...(Object.keys(ports).length === 0 ? {} : { portLevelMtls }),
    };
    const state = translate([
      ...(mesh === undefined
        ? []
        : [istio("PeerAuthentication", "mesh", mode(mesh), { namespace: "istio-system" })]),
      ...(ns === undefined ? [] : [istio("PeerAuthentication", "ns", mode(ns))]),
      ...(workload === undefined
        ? []
        : [istio("PeerAuthentication", "own", { ...mode(workload), ...selected })]),
      pod("a"),
    ]);
    assert.deepEqual(workloadOf(state, "a").authorizationPolicies, expected);
    assert.deepEqual(state.policies.has(own) ? rules(state, own) : [], portRules);
    assert.equal(
      state.policies.has(strict),
      mesh !== undefined || ns !== undefined || workload !== undefined,
    );
    for (const name of expected) assert.ok(state.policies.has(name), `${name} is sent`);
  });

test("of several PeerAuthentications the oldest counts", () => {
  const dated = (name: string, value: string, created: string) =>
    istio("PeerAuthentication", name, mode(value), { creationTimestamp: created });
  const of = (first: string, second: string) =>
    workloadOf(
      translate([
        dated("a", first, "2026-01-02T00:00:00Z"),
        dated("b", second, "2026-01-01T00:00:00Z"),
        pod("a"),
      ]),
      "a",
    ).authorizationPolicies;
  assert.deepEqual(of("STRICT", "PERMISSIVE"), []);
  assert.deepEqual(of("PERMISSIVE", "STRICT"), [strict]);
});

test("a selector in the root namespace is no mesh-wide policy", () => {
  const selected = { ...mode("STRICT"), selector: { matchLabels: { app: "a" } } };
  const state = translate([
    istio("PeerAuthentication", "x", selected, { namespace: "istio-system" }),
    pod("a"),
    pod("r", { namespace: "istio-system", labels: { app: "a" } }),
  ]);
  assert.deepEqual(workloadOf(state, "a").authorizationPolicies, []);
  assert.deepEqual(workloadOf(state, "r").authorizationPolicies, []);
});

test("configuration of another revision is left alone; pods and services are everybody's", () => {
  const rev = (value: string) => ({ labels: { "istio.io/rev": value } });
  assert.equal(translate(policy({}, rev("canary"))).policies.size, 0);
  assert.equal(translate(policy({}, rev("default"))).policies.size, 1);
  assert.equal(
    translate(policy({}, rev("canary")), { settings: { revision: "canary" } }).policies.size,
    1,
  );
  assert.equal(translate(pod("a", { labels: { "istio.io/rev": "canary" } })).workloads.size, 1);
});

test("without dates the first in the file counts as the oldest", () => {
  const of = (first: string, second: string) =>
    workloadOf(
      translate([
        istio("PeerAuthentication", "z", mode(first)),
        istio("PeerAuthentication", "a", mode(second)),
        pod("a"),
      ]),
      "a",
    ).authorizationPolicies;
  assert.deepEqual(of("STRICT", "PERMISSIVE"), [strict]);
  assert.deepEqual(of("PERMISSIVE", "STRICT"), []);
});
