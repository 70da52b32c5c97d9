import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshState } from "../../../../src/controlplane/translate/translate.ts";
import type { GatewayAddress } from "../../../../src/shared/model/workload.ts";
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

const use = { "istio.io/use-waypoint": "wp" };
const wpService = (name = "wp", ns = "shop") =>
  service(name, {
    namespace: ns,
    labels: { "gateway.istio.io/managed": "istio.io-mesh-controller" },
    spec: { clusterIP: "10.96.9.9" },
  });

function text(address: GatewayAddress | undefined): string {
  if (address === undefined) return "none";
  const { destination, hboneMtlsPort } = address;
  const where =
    destination.kind === "hostname"
      ? `${destination.namespace}/${destination.hostname}`
      : `${destination.address.network}/${destination.address.ip}`;
  return `${where}:${hboneMtlsPort}`;
}

const conditionsOf = (state: MeshState, object: string) =>
  state.conditions
    .filter((condition) => condition.object === object)
    .map(({ type, status, reason }) => `${type} ${status} ${reason}`);

const here = "shop/wp.shop.svc.cluster.local:15008";

test("where a waypoint is: its status, its stated address, its service", () => {
  const of = (parts: Parameters<typeof gateway>[1], ...more: string[]) =>
    text(
      serviceOf(
        translate([namespace("shop", use), gateway("wp", parts), service("s"), ...more]),
        "s",
      ).waypoint,
    );
  assert.equal(of({}), "none", "not ready without any address");
  assert.equal(of({}, wpService()), here);
  assert.equal(
    of({
      status: {
        addresses: [
          { type: "IPAddress", value: "10.1.1.1" },
          { type: "Hostname", value: "h.example" },
        ],
      },
    }),
    "shop/h.example:15008",
  );
  assert.equal(
    of({ status: { addresses: [{ type: "IPAddress", value: "10.1.1.1" }] } }),
    "/10.1.1.1:15008",
  );
  assert.equal(
    of({ spec: { addresses: [{ type: "Hostname", value: "short" }] } }),
    "shop/short.shop.svc.cluster.local:15008",
  );
  const wish = { addresses: [{ type: "IPAddress", value: "10.1.1.1" }] };
  assert.equal(of({ spec: wish }, wpService()), here, "an address is a wish for the service's");
  assert.equal(of({ spec: wish }), "/10.1.1.1:15008");
  const renamed = { "gateway.istio.io/name-override": "other" };
  assert.equal(
    of({ annotations: renamed }, wpService("other")),
    "shop/other.shop.svc.cluster.local:15008",
  );
});

const kinds: readonly [string | undefined, boolean, boolean][] = [
  [undefined, true, false],
  ["service", true, false],
  ["workload", false, true],
  ["all", true, true],
  ["none", false, false],
];

for (const [value, forServices, forWorkloads] of kinds)
  test(`waypoint-for ${value ?? "(unset)"}`, () => {
    const labels = value === undefined ? {} : { "istio.io/waypoint-for": value };
    const state = translate([
      namespace("shop", use),
      gateway("wp", { labels }),
      wpService(),
      service("s"),
      pod("p"),
    ]);
    assert.equal(text(serviceOf(state, "s").waypoint), forServices ? here : "none");
    assert.equal(text(workloadOf(state, "p").waypoint), forWorkloads ? here : "none");
    assert.equal(serviceOf(state, "wp").waypoint, undefined, "a waypoint has none before itself");
  });

test("waypoint-for may stand on the class", () => {
  const gatewayClass = JSON.stringify({
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "GatewayClass",
    metadata: { name: "istio-waypoint", labels: { "istio.io/waypoint-for": "all" } },
    spec: { controllerName: "istio.io/mesh-controller" },
  });
  const state = translate([
    gatewayClass,
    namespace("shop", use),
    gateway("wp"),
    wpService(),
    pod("p"),
  ]);
  assert.equal(text(workloadOf(state, "p").waypoint), here);
});

test("the object's own label wins over the namespace's, and none means none", () => {
  const state = translate([
    namespace("shop", use),
    gateway("wp"),
    wpService(),
    gateway("other"),
    wpService("other"),
    service("mine", { labels: { "istio.io/use-waypoint": "other" } }),
    service("off", { labels: { "istio.io/use-waypoint": "none" } }),
    service("missing", { labels: { "istio.io/use-waypoint": "nowhere" } }),
  ]);
  assert.equal(text(serviceOf(state, "mine").waypoint), "shop/other.shop.svc.cluster.local:15008");
  assert.equal(serviceOf(state, "off").waypoint, undefined);
  assert.equal(serviceOf(state, "missing").waypoint, undefined);
  assert.deepEqual(conditionsOf(state, "Service/shop/mine"), [
    "istio.io/WaypointBound True WaypointAccepted",
  ]);
  assert.deepEqual(conditionsOf(state, "Service/shop/off"), []);
  assert.deepEqual(conditionsOf(state, "Service/shop/missing"), [
    "istio.io/WaypointBound False WaypointIsNotReady",
  ]);
});

test("another namespace needs the listener's leave", () => {
  const of = (allowedRoutes: unknown) => {
    const listeners = [
      {
        name: "mesh",
        port: 15008,
        protocol: "HBONE",
        ...(allowedRoutes === undefined ? {} : { allowedRoutes }),
      },
    ];
    const state = translate([
      namespace("far", { team: "a", ...use, "istio.io/use-waypoint-namespace": "shop" }),
      gateway("wp", { spec: { listeners } }),
      wpService(),
      service("s", { namespace: "far" }),
    ]);
    return serviceOf(state, "s").waypoint === undefined
      ? conditionsOf(state, "Service/far/s")[0]
      : "bound";
  };
  const denied = "istio.io/WaypointBound False AttachmentDenied";
  assert.equal(of(undefined), denied);
  assert.equal(of({ namespaces: { from: "Same" } }), denied);
  assert.equal(of({ namespaces: { from: "All" } }), "bound");
  assert.equal(
    of({ namespaces: { from: "Selector", selector: { matchLabels: { team: "a" } } } }),
    "bound",
  );
  assert.equal(
    of({ namespaces: { from: "Selector", selector: { matchLabels: { team: "b" } } } }),
    denied,
  );
});

test("a workload that asked by itself is told when the waypoint is for services only", () => {
  const state = translate([
    gateway("wp"),
    wpService(),
    pod("p", { labels: use }),
    istio("WorkloadEntry", "w", { address: "1.1.1.1" }, { labels: use }),
  ]);
  assert.equal(workloadOf(state, "p").waypoint, undefined);
  assert.deepEqual(conditionsOf(state, "Pod/shop/p"), [
    "istio.io/WaypointBound False UnsupportedTrafficType",
  ]);
  assert.deepEqual(conditionsOf(state, "WorkloadEntry/shop/w"), [
    "istio.io/WaypointBound False UnsupportedTrafficType",
  ]);
});

test("instances of a waypoint have no waypoint and take the binding of their gateway", () => {
  const of = (annotation: string | undefined) => {
    const annotations =
      annotation === undefined ? {} : { "ambient.istio.io/waypoint-inbound-binding": annotation };
    const labels = { "istio.io/waypoint-for": "all" };
    const instance = pod("wp-0", { labels: { "gateway.networking.k8s.io/gateway-name": "wp" } });
    const { waypoint, applicationTunnel } = workloadOf(
      translate([
        namespace("shop", use),
        gateway("wp", { labels, annotations }),
        wpService(),
        instance,
      ]),
      "wp-0",
    );
    assert.equal(waypoint, undefined);
    return applicationTunnel;
  };
  assert.equal(of(undefined), undefined);
  assert.deepEqual(of("PROXY/15088"), { protocol: "PROXY", port: 15088 });
  assert.deepEqual(of("PROXY"), { protocol: "PROXY" });
  assert.deepEqual(of("NONE/80"), { protocol: "NONE", port: 80 });
  assert.equal(of("OTHER/80"), undefined);
});

test("the ingress gateway's label: service over namespace, only with a waypoint", () => {
  const ingress = (value: string) => ({ "istio.io/ingress-use-waypoint": value });
  const of = (onService: Record<string, string>, onNamespace: Record<string, string>) =>
    serviceOf(
      translate([
        namespace("shop", onNamespace),
        gateway("wp"),
        wpService(),
        service("s", { labels: onService }),
      ]),
      "s",
    ).ingressUseWaypoint;
  assert.equal(of({}, { ...use, ...ingress("true") }), true);
  assert.equal(of(ingress("false"), { ...use, ...ingress("true") }), false);
  assert.equal(of(ingress("1"), use), true);
  assert.equal(of(ingress("yes"), use), false);
  assert.equal(of(ingress("true"), {}), false);
});

test("a canary takes its share; a faulty one leaves the waypoint as it is and says why", () => {
  const canary = { "istio.io/use-waypoint-canary": "next" };
  const weight = (value: string) => ({ "istio.io/use-waypoint-canary-weight": value });
  const of = (
    labels: Record<string, string>,
    annotations: Record<string, string>,
    ns: readonly [Record<string, string>, Record<string, string>] = [{}, {}],
  ) => {
    const state = translate([
      namespace("shop", ...ns),
      gateway("wp"),
      wpService(),
      gateway("next"),
      wpService("next"),
      service("s", { labels, annotations }),
    ]);
    const { weightedWaypoints } = serviceOf(state, "s");
    assert.equal(text(serviceOf(state, "s").waypoint), here);
    return [
      weightedWaypoints.map((one) => `${text(one.destination).split(".")[0]} ${one.weight}`).join(),
      conditionsOf(state, "Service/shop/s")[0]?.split(" ")[2],
    ];
  };
  assert.deepEqual(of({ ...use, ...canary }, weight("20")), [
    "shop/wp 80,shop/next 20",
    "WaypointAccepted",
  ]);
  assert.deepEqual(of({ ...use, ...canary }, {}), ["shop/wp 100,shop/next 0", "WaypointAccepted"]);
  assert.deepEqual(of({ ...use, ...canary }, weight("101")), ["", "CanaryInvalidWeight"]);
  assert.deepEqual(of({ ...use, ...canary }, weight("x")), ["", "CanaryInvalidWeight"]);
  assert.deepEqual(of({ ...use, "istio.io/use-waypoint-canary": "wp" }, weight("5")), [
    "",
    "CanarySameAsPrimary",
  ]);
  assert.deepEqual(of({ ...use, "istio.io/use-waypoint-canary": "gone" }, weight("5")), [
    "",
    "WaypointIsNotReady",
  ]);
  const inNamespace = [{ ...use, ...canary }, weight("30")] as const;
  assert.deepEqual(of({}, {}, inNamespace), ["shop/wp 70,shop/next 30", "WaypointAccepted"]);
  assert.deepEqual(
    of(use, {}, inNamespace),
    ["", "WaypointAccepted"],
    "the namespace's canary does not follow the object's own waypoint",
  );
});
