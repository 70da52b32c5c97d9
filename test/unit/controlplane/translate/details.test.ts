/** Small rules of the translation that a comparison with the reference over many random meshes brought up. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { ipFromBytes } from "../../../../src/shared/net/ip.ts";
import { AddressSchema } from "../../../../src/shared/wire/gen/istio/workload/workload_pb.js";
import { encodeServiceAddress } from "../../../../src/shared/xds/encode.ts";
import {
  gateway,
  istio,
  namespace,
  pod,
  service,
  serviceOf,
  translate,
  workloadOf,
} from "../../../support/translate.ts";

test("a selector may name a namespace by the label that every namespace has", () => {
  const selector = { matchLabels: { "kubernetes.io/metadata.name": "shop" } };
  const allowedRoutes = { namespaces: { from: "Selector", selector } };
  const use = { "istio.io/use-waypoint": "wp", "istio.io/use-waypoint-namespace": "infra" };
  const state = translate([
    namespace("infra"),
    namespace("shop"),
    namespace("other"),
    gateway("wp", {
      namespace: "infra",
      spec: { listeners: [{ name: "mesh", port: 15008, protocol: "HBONE", allowedRoutes }] },
      status: { addresses: [{ type: "Hostname", value: "wp.infra" }] },
    }),
    service("chosen", { labels: use }),
    service("refused", { namespace: "other", labels: use }),
  ]);
  assert.notEqual(serviceOf(state, "chosen").waypoint, undefined);
  assert.equal(serviceOf(state, "refused").waypoint, undefined);
});

const bindings: readonly [string, unknown][] = [
  ["PROXY", { protocol: "PROXY" }],
  ["PROXY/15088", { protocol: "PROXY", port: 15088 }],
  ["PROXY/", { protocol: "PROXY" }],
  ["PROXY/web", { protocol: "PROXY" }],
  ["NONE/0", { protocol: "NONE" }],
  ["PROXY/1/2", undefined],
  ["proxy", undefined],
  ["", undefined],
];

for (const [text, expected] of bindings)
  test(`a waypoint's inbound binding ${JSON.stringify(text)}`, () => {
    const state = translate([
      gateway("wp", {
        annotations: { "ambient.istio.io/waypoint-inbound-binding": text },
        status: { addresses: [{ type: "Hostname", value: "wp.shop" }] },
      }),
      pod("instance", { labels: { "gateway.networking.k8s.io/gateway-name": "wp" } }),
    ]);
    assert.deepEqual(workloadOf(state, "instance").applicationTunnel, expected);
  });

test("a rule may name port 0, or a port with leading zeros", () => {
  const rules = [{ to: [{ operation: { ports: ["0", "080", "65535"] } }] }];
  const [policy] = translate(istio("AuthorizationPolicy", "p", { rules })).policies.values();
  assert.deepEqual(
    policy?.rules[0]?.clauses[0]?.matches[0]?.destinationPorts,
    [0, 80, 65535],
    "the API server accepts them",
  );
});

test("addresses of a ServiceEntry are sent in the order in which they are stated", () => {
  const addresses = ["10.1.0.0/16", "10.2.0.1", "10.3.0.0/24", "10.4.0.1/32"];
  const spec = { hosts: ["x.org"], addresses, resolution: "STATIC", ports: [] };
  const sent = encodeServiceAddress(serviceOf(translate(istio("ServiceEntry", "x", spec)), "x"));
  const { type } = fromBinary(AddressSchema, sent);
  assert.ok(type.case === "service");
  assert.deepEqual(
    type.value.addresses.map(({ address, length }) => `${ipFromBytes(address)}/${length}`),
    ["10.1.0.0/16", "10.2.0.1/undefined", "10.3.0.0/24", "10.4.0.1/undefined"],
  );
});

test("a workload without labels is selected by nothing", () => {
  const selector = { matchLabels: { app: "a" } };
  const state = translate([
    istio("AuthorizationPolicy", "p", { selector, action: "DENY", rules: [{}] }),
    pod("bare", { labels: {} }),
    pod("a"),
  ]);
  assert.deepEqual(workloadOf(state, "bare").authorizationPolicies, []);
  assert.deepEqual(workloadOf(state, "a").authorizationPolicies, ["shop/p"]);
});

test("a canary without an address is not sent: a share of the connections would go nowhere", () => {
  const status = (type: string) => ({ addresses: [{ type, value: "wp.shop" }] });
  const state = translate([
    gateway("wp", { status: status("Hostname") }),
    gateway("canary", { status: status("example.com/other") }),
    service("s", {
      labels: { "istio.io/use-waypoint": "wp", "istio.io/use-waypoint-canary": "canary" },
      annotations: { "istio.io/use-waypoint-canary-weight": "10" },
    }),
  ]);
  assert.notEqual(serviceOf(state, "s").waypoint, undefined);
  assert.deepEqual(serviceOf(state, "s").weightedWaypoints, []);
});

const modes = (mesh: string, own: string | undefined, workload: string | undefined, port: string) =>
  translate([
    istio("PeerAuthentication", "m", { mtls: { mode: mesh } }, { namespace: "istio-system" }),
    ...(own === undefined ? [] : [istio("PeerAuthentication", "n", { mtls: { mode: own } })]),
    istio("PeerAuthentication", "w", {
      selector: { matchLabels: { app: "a" } },
      ...(workload === undefined ? {} : { mtls: { mode: workload } }),
      portLevelMtls: { 80: { mode: port } },
    }),
    pod("a"),
  ]);

const portPolicies: readonly [string, string | undefined, string | undefined, string][] = [
  ["STRICT", undefined, "PERMISSIVE", "STRICT"],
  ["STRICT", undefined, "DISABLE", "STRICT"],
  ["STRICT", "UNSET", "UNSET", "PERMISSIVE"],
  ["STRICT", "UNSET", undefined, "PERMISSIVE"],
];

for (const [mesh, own, workload, port] of portPolicies)
  test(`mesh ${mesh}, namespace ${own}, workload ${workload}, port ${port}: the policy that the workload names is sent`, () => {
    const state = modes(mesh, own, workload, port);
    const key = "shop/converted_peer_authentication_w";
    assert.deepEqual(workloadOf(state, "a").authorizationPolicies, [key]);
    assert.ok(state.policies.has(key));
  });

test("automatic addresses: the oldest entry first, its hosts as they are stated", () => {
  const entry = (name: string, hosts: readonly string[], creationTimestamp: string) =>
    istio("ServiceEntry", name, { hosts, resolution: "DNS" }, { creationTimestamp });
  const state = translate([
    entry("a", ["late.org"], "2026-02-01T00:00:00Z"),
    entry("b", ["z.org", "a.org"], "2026-01-01T00:00:00Z"),
  ]);
  const given = (host: string) => serviceOf(state, host).vips[0]?.ip;
  assert.deepEqual(
    [given("z.org"), given("a.org"), given("late.org")],
    ["240.240.0.2", "240.240.0.3", "240.240.0.4"],
  );
});

test("an EndpointSlice names a pod by name, namespace and uid together", () => {
  const slice = (targets: readonly Record<string, string>[]) =>
    JSON.stringify({
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "s-1", namespace: "shop", labels: { "kubernetes.io/service-name": "s" } },
      addressType: "IPv4",
      ports: [{ name: "http", port: 80 }],
      endpoints: targets.map((target) => ({
        addresses: ["10.10.1.10"],
        targetRef: { kind: "Pod", name: "p", ...target },
      })),
    });
  const servicesOfPod = (...targets: readonly Record<string, string>[]) =>
    workloadOf(
      translate([
        service("s", { spec: { selector: {} } }),
        pod("p", { metadata: { uid: "1" } }),
        slice(targets),
      ]),
      "p",
    ).services.size;
  assert.equal(servicesOfPod({ namespace: "shop", uid: "1" }), 1);
  assert.equal(servicesOfPod({ namespace: "shop", uid: "2" }), 0, "another pod of that name");
  assert.equal(servicesOfPod({ namespace: "shop", uid: "2" }, { namespace: "b", uid: "1" }), 0);
  assert.equal(servicesOfPod({}), 1, "written by hand, without a namespace and a uid");
});
