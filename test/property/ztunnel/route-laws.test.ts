import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MeshStore } from "../../../src/shared/model/store.ts";
import type {
  GatewayAddress,
  Service,
  ServiceKey,
  Workload,
} from "../../../src/shared/model/workload.ts";
import { ipOf } from "../../../src/shared/net/ip.ts";
import { decideOutbound, illegalPorts } from "../../../src/ztunnel/proxy/route.ts";
import type { OutboundDecision, OutboundRoute } from "../../../src/ztunnel/proxy/route-types.ts";
import { makeGateway, makeService, makeWorkload } from "../../support/mesh-builders.ts";

const hosts = ["s1", "s2", "way"] as const;
const keyOf = (name: string): ServiceKey => `shop/${name}.shop.svc.cluster.local`;
const ips = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.96.0.1", "10.96.0.2", "fd00::1"] as const;
const networks = ["", "far"] as const;

const gateway: fc.Arbitrary<GatewayAddress> = fc.constantFrom(
  makeGateway(keyOf("way")),
  makeGateway("@/10.0.0.3"),
  makeGateway("@far/10.0.0.3"),
  makeGateway("shop/nowhere.example"),
);
const rarely = <T>(item: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(item, { nil: undefined, freq: 2 });

const workload = (name: string): fc.Arbitrary<Workload> =>
  fc
    .record({
      ips: fc.uniqueArray(fc.constantFrom(...ips), { maxLength: 2 }),
      named: fc.boolean(),
      network: fc.constantFrom(...networks),
      protocol: fc.constantFrom("HBONE" as const, "TCP" as const),
      status: fc.constantFrom("Healthy" as const, "Unhealthy" as const),
      capacity: fc.nat(2),
      waypoint: rarely(gateway),
      networkGateway: rarely(gateway),
      tunnel: rarely(fc.constant({ protocol: "PROXY" as const, port: 15088 })),
      behind: fc.subarray([...hosts]),
      mapped: fc.boolean(),
    })
    .map(({ named, waypoint, networkGateway, tunnel, behind, mapped, ...rest }) =>
      makeWorkload(name, {
        ...rest,
        hostname: named ? `${name}.example` : "",
        ...(waypoint && { waypoint }),
        ...(networkGateway && { networkGateway }),
        ...(tunnel && { applicationTunnel: tunnel }),
        behind: Object.fromEntries(
          behind.map((host) => [keyOf(host), mapped ? { 80: 8080, 15008: 15008 } : {}]),
        ),
      }),
    );

const service = (name: string): fc.Arbitrary<Service> =>
  fc
    .record({
      at: fc.uniqueArray(fc.constantFrom(...ips), { maxLength: 2 }),
      target: fc.constantFrom(0, 8080),
      waypoint: rarely(gateway),
      weighted: fc.array(fc.record({ destination: gateway, weight: fc.nat(2) }), { maxLength: 2 }),
      mode: fc.constantFrom(
        "Standard" as const,
        "Strict" as const,
        "Failover" as const,
        "Passthrough" as const,
      ),
      sans: fc.subarray(["spiffe://cluster.local/ns/shop/sa/extra"]),
      visibility: fc.constantFrom("Public" as const, "Namespace" as const),
    })
    .map(({ at, target, waypoint, weighted, mode, sans, visibility }) =>
      makeService(name, {
        at,
        ports: { 80: target, 15008: 15008 },
        ...(waypoint && { waypoint }),
        weightedWaypoints: weighted,
        subjectAltNames: sans,
        visibility,
        loadBalancing: {
          mode,
          routingPreferences: ["Network", "Node"],
          healthPolicy: "OnlyHealthy",
        },
      }),
    );

interface Case {
  readonly store: MeshStore;
  readonly route: OutboundRoute;
  readonly destination: string;
}

const cases: fc.Arbitrary<Case> = fc
  .record({
    workloads: fc.tuple(workload("w1"), workload("w2"), workload("w3")),
    services: fc.tuple(service("s1"), service("s2"), service("way")),
    destination: fc.constantFrom(...ips),
    port: fc.constantFrom(80, 81),
    draws: fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1, maxLength: 4 }),
    resolved: fc.subarray([ipOf("192.0.2.9"), ipOf("2001:db8::9")]),
  })
  .map(({ workloads, services, destination, port, draws, resolved }) => {
    const store = new MeshStore();
    const source = makeWorkload("client", { ips: ["10.0.0.77"] });
    store.apply({
      addresses: [
        ...[source, ...workloads].map((entry) => ({ kind: "workload" as const, workload: entry })),
        ...services.map((entry) => ({ kind: "service" as const, service: entry })),
      ],
    });
    let draw = 0;
    let decision: OutboundDecision = decideOutbound(
      store,
      {
        network: "",
        illegalPorts: illegalPorts({ socks5: false }),
        random: () => draws[draw++ % draws.length] ?? 0,
      },
      { source, sourceIp: ipOf("10.0.0.77"), destination: { ip: ipOf(destination), port } },
    );
    let steps = 0;
    while (decision.kind === "resolve") {
      assert.ok(++steps <= 2, "at most one lookup for the hop");
      decision = decision.proceed(resolved);
    }
    return { store, route: decision, destination };
  });

function law(name: string, holds: (one: Case) => boolean): void {
  test(name, () => {
    fc.assert(fc.property(cases, holds), { numRuns: 1500 });
  });
}

law("a meshed workload is never sent plaintext, unless the address passes through", ({ route }) => {
  return route.kind !== "tcp" || route.via === "passthrough" || route.upstream?.protocol === "TCP";
});

law("passing through goes exactly where the application wanted", ({ route, destination }) => {
  return (
    route.kind !== "tcp" ||
    route.via !== "passthrough" ||
    (route.actualDestination.ip === destination && route.upstream === undefined)
  );
});

law("an address that the mesh knows passes through only at a service's own wish", (one) => {
  const { store, route, destination } = one;
  if (route.kind !== "tcp" || route.via !== "passthrough") return true;
  const service = store.serviceByVip("", ipOf(destination), { clientNamespace: "shop" });
  if (service !== undefined) return service.loadBalancing?.mode === "Passthrough";
  return store.workloadByAddress("", ipOf(destination)) === undefined;
});

law(
  "a service that wants a waypoint is never reached around it",
  ({ store, route, destination }) => {
    const ip = ipOf(destination);
    if (store.workloadByAddress("", ip) !== undefined) return true;
    const service = store.serviceByVip("", ip, { clientNamespace: "shop" });
    if (service?.waypoint === undefined) return true;
    return (
      route.kind === "refuse" ||
      route.via === "service-waypoint" ||
      // A waypoint on another network.
      route.kind === "double-hbone"
    );
  },
);

law("a tunnel always knows whom to accept, and its peer's identity is among them", ({ route }) => {
  if (route.kind !== "hbone" && route.kind !== "double-hbone") return true;
  const { trustDomain, namespace, serviceAccount } =
    route.kind === "hbone" ? route.upstream : route.gateway;
  return route.acceptedIdentities.includes(
    `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`,
  );
});

law("another network is reached through its gateway or not at all", ({ route }) => {
  if (route.kind === "refuse" || route.kind === "double-hbone") return true;
  if (route.via === "workload-waypoint") return true;
  return route.upstream === undefined || route.upstream.network === "";
});

law("what is chosen by a service is healthy and has weight", ({ route }) => {
  if (route.kind === "refuse" || route.kind === "double-hbone") return true;
  if (route.service === undefined || route.upstream === undefined) return true;
  if (route.via !== "direct" && route.via !== "plaintext") return true;
  return route.upstream.status === "Healthy" && route.upstream.capacity > 0;
});
