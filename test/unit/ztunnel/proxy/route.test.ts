import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Service, Workload } from "../../../../src/shared/model/workload.ts";
import { makeGateway, makeWorkload } from "../../../support/mesh-builders.ts";
import {
  app,
  backend,
  decide,
  decideIn,
  legacy,
  sa,
  say,
  storeOf,
  way,
  waypointPod,
  waypointService,
  web,
  webService,
} from "./route-fixture.ts";

describe("self calls", () => {
  for (const address of ["127.0.0.1", "127.0.0.9", "[::1]"])
    for (const port of [15001, 15006, 15008, 15080])
      test(`${address}:${port} is refused`, () =>
        assert.equal(
          say(decide([], `${address}:${port}`)),
          "refuse self-call: attempted recursive call to ourselves",
        ));
  test("other loopback ports and our ports elsewhere pass", () => {
    assert.equal(say(decide([], "127.0.0.1:80")), "passthrough 127.0.0.1:80");
    assert.equal(say(decide([], "9.9.9.9:15008")), "passthrough 9.9.9.9:15008");
  });
});

describe("workload addresses", () => {
  const rows: readonly [string, (Workload | Service)[], string, string][] = [
    ["unknown", [], "9.9.9.9:443", "passthrough 9.9.9.9:443"],
    ["unknown IPv6", [], "[2001:db8::1]:443", "passthrough [2001:db8::1]:443"],
    ["meshed", [app], "10.0.0.2:80", "direct 10.0.0.2:15008 for 10.0.0.2:80"],
    [
      "meshed on another node",
      [{ ...app, node: "node2" }],
      "10.0.0.2:80",
      "direct 10.0.0.2:15008 for 10.0.0.2:80",
    ],
    ["outside the mesh", [legacy], "10.0.0.3:80", "plaintext 10.0.0.3:80"],
    [
      "unhealthy all the same",
      [{ ...app, status: "Unhealthy" }],
      "10.0.0.2:80",
      "direct 10.0.0.2:15008 for 10.0.0.2:80",
    ],
    [
      "on the host network",
      [{ ...app, networkMode: "HostNetwork" }],
      "10.0.0.2:80",
      "passthrough 10.0.0.2:80",
    ],
    [
      "dual stack",
      [makeWorkload("d", { ips: ["10.0.0.4", "fd00::4"] })],
      "[fd00::4]:80",
      "direct [fd00::4]:15008 for [fd00::4]:80",
    ],
    [
      "of another network is no workload here",
      [{ ...app, network: "far" }],
      "10.0.0.2:80",
      "passthrough 10.0.0.2:80",
    ],
  ];
  for (const [name, records, destination, expected] of rows)
    test(name, () => assert.equal(say(decide(records, destination)), expected));

  test("carry identity, upstream and reason", () => {
    const decision = decide([app], "10.0.0.2:80");
    assert.ok(decision.kind === "hbone");
    assert.deepEqual(decision.acceptedIdentities, [sa("app")]);
    assert.equal(decision.upstream.name, "app");
    assert.equal(decision.service, undefined);
    assert.deepEqual(decision.reason.addressed, { kind: "workload", uid: app.uid });
  });

  test("without labels when passed through", () => {
    const decision = decide([], "9.9.9.9:443");
    assert.ok(decision.kind === "tcp");
    assert.equal(decision.upstream, undefined);
    assert.equal(decision.service, undefined);
  });
});

describe("services", () => {
  const rows: readonly [string, (Workload | Service)[], string, string][] = [
    [
      "numeric target port",
      [webService(), backend("b", "10.0.0.2")],
      "10.96.0.1:80",
      "direct 10.0.0.2:15008 for 10.0.0.2:8080",
    ],
    [
      "to an endpoint outside the mesh",
      [webService(), backend("b", "10.0.0.2", { protocol: "TCP" })],
      "10.96.0.1:80",
      "plaintext 10.0.0.2:8080",
    ],
    [
      "the endpoint's own mapping comes first",
      [webService({ ports: { 80: 1 } }), backend("b", "10.0.0.2")],
      "10.96.0.1:80",
      "direct 10.0.0.2:15008 for 10.0.0.2:8080",
    ],
    [
      "the service's when the endpoint has none",
      [webService({ ports: { 80: 81 } }), backend("b", "10.0.0.2", { behind: { [web]: {} } })],
      "10.96.0.1:80",
      "direct 10.0.0.2:15008 for 10.0.0.2:81",
    ],
    [
      "a named port needs the endpoint's mapping",
      [webService({ ports: { 80: 0 } }), backend("b", "10.0.0.2")],
      "10.96.0.1:80",
      "direct 10.0.0.2:15008 for 10.0.0.2:8080",
    ],
    [
      "a named port without mapping",
      [webService({ ports: { 80: 0 } }), backend("b", "10.0.0.2", { behind: { [web]: {} } })],
      "10.96.0.1:80",
      "refuse no-healthy-upstream: no healthy upstream: 10.96.0.1:80",
    ],
    [
      "a port that the service lacks",
      [webService(), backend("b", "10.0.0.2")],
      "10.96.0.1:81",
      "refuse no-healthy-upstream: no healthy upstream: 10.96.0.1:81",
    ],
    [
      "no endpoints",
      [webService()],
      "10.96.0.1:80",
      "refuse no-healthy-upstream: no healthy upstream: 10.96.0.1:80",
    ],
    [
      "only unhealthy endpoints",
      [webService(), backend("b", "10.0.0.2", { status: "Unhealthy" })],
      "10.96.0.1:80",
      "refuse no-healthy-upstream: no healthy upstream: 10.96.0.1:80",
    ],
    [
      "unhealthy ones count when the service says so",
      [
        webService({
          loadBalancing: { mode: "Standard", routingPreferences: [], healthPolicy: "AllowAll" },
        }),
        backend("b", "10.0.0.2", { status: "Unhealthy" }),
      ],
      "10.96.0.1:80",
      "direct 10.0.0.2:15008 for 10.0.0.2:8080",
    ],
    [
      "weight zero",
      [webService(), backend("b", "10.0.0.2", { capacity: 0 })],
      "10.96.0.1:80",
      "refuse no-healthy-upstream: no healthy upstream: 10.96.0.1:80",
    ],
    [
      "the endpoint's waypoint does not matter",
      [
        webService(),
        backend("b", "10.0.0.2", { waypoint: makeGateway(way) }),
        waypointService(),
        waypointPod,
      ],
      "10.96.0.1:80",
      "direct 10.0.0.2:15008 for 10.0.0.2:8080",
    ],
    [
      "a range of addresses",
      [webService({ at: ["/10.97.0.0/16"] }), backend("b", "10.0.0.2")],
      "10.97.3.4:80",
      "direct 10.0.0.2:15008 for 10.0.0.2:8080",
    ],
    [
      "passthrough",
      [
        webService({
          loadBalancing: { mode: "Passthrough", routingPreferences: [], healthPolicy: "AllowAll" },
        }),
        backend("b", "10.0.0.2"),
      ],
      "10.96.0.1:80",
      "passthrough 10.96.0.1:80",
    ],
    [
      "passthrough with a waypoint goes to the waypoint",
      [
        webService({
          waypoint: makeGateway(way),
          loadBalancing: { mode: "Passthrough", routingPreferences: [], healthPolicy: "AllowAll" },
        }),
        waypointService(),
        waypointPod,
      ],
      "10.96.0.1:80",
      "service-waypoint 10.0.0.9:15008 for 10.96.0.1:80",
    ],
    [
      "an address of a workload and a service is balanced as the service",
      [webService({ at: ["10.0.0.2"] }), app, backend("b", "10.0.0.7")],
      "10.0.0.2:80",
      "direct 10.0.0.7:15008 for 10.0.0.7:8080",
    ],
    [
      "an address of a workload and a service with a waypoint does not go to the waypoint",
      [
        webService({ at: ["10.0.0.2"], waypoint: makeGateway(way) }),
        app,
        backend("b", "10.0.0.7"),
        waypointService(),
        waypointPod,
      ],
      "10.0.0.2:80",
      "direct 10.0.0.7:15008 for 10.0.0.7:8080",
    ],
    [
      "dual stack follows the family of the destination",
      [
        webService({ at: ["10.96.0.1", "fd96::1"], ipFamilies: "Dual" }),
        makeWorkload("b", { ips: ["10.0.0.2", "fd00::2"], behind: { [web]: { 80: 8080 } } }),
      ],
      "[fd96::1]:80",
      "direct [fd00::2]:15008 for [fd00::2]:8080",
    ],
    [
      "an IPv6 address to an IPv4 endpoint",
      [webService({ at: ["fd96::1"] }), backend("b", "10.0.0.2")],
      "[fd96::1]:80",
      "direct 10.0.0.2:15008 for 10.0.0.2:8080",
    ],
    [
      "IPv4 only",
      [
        webService({ at: ["fd96::1"], ipFamilies: "IPv4Only" }),
        makeWorkload("b", { ips: ["fd00::2", "10.0.0.2"], behind: { [web]: { 80: 8080 } } }),
      ],
      "[fd96::1]:80",
      "direct 10.0.0.2:15008 for 10.0.0.2:8080",
    ],
    [
      "no address of an allowed family",
      [webService({ ipFamilies: "IPv6Only" }), backend("b", "10.0.0.2")],
      "10.96.0.1:80",
      "refuse no-healthy-upstream: no healthy upstream: 10.96.0.1:80",
    ],
    [
      "invisible from the client's namespace",
      [webService({ visibility: "Namespace", namespace: "far" })],
      "10.96.0.1:80",
      "passthrough 10.96.0.1:80",
    ],
  ];
  for (const [name, records, destination, expected] of rows)
    test(name, () => assert.equal(say(decide(records, destination)), expected));

  test("extend the accepted identities, and stand in the decision", () => {
    const records = [
      webService({ subjectAltNames: ["spiffe://other/ns/x/sa/y"] }),
      backend("b", "10.0.0.2"),
    ];
    const decision = decide(records, "10.96.0.1:80");
    assert.ok(decision.kind === "hbone");
    assert.deepEqual(decision.acceptedIdentities, ["spiffe://other/ns/x/sa/y", sa("b")]);
    assert.equal(decision.service?.name, "web");
    assert.equal(decision.reason.addressed.kind, "service");
  });

  test("the candidates that were passed over are named with the reason", () => {
    const records = [
      webService(),
      backend("good", "10.0.0.2"),
      backend("sick", "10.0.0.3", { status: "Unhealthy" }),
      backend("portless", "10.0.0.4", { behind: { [web]: {} } }),
      backend("nowhere", "10.0.0.5", { ips: [] }),
      backend("other", "10.0.0.6"),
      backend("idle", "10.0.0.7", { capacity: 0 }),
      webService({ ports: { 80: 0 } }),
    ];
    const decision = decide(records, "10.96.0.1:80");
    assert.ok(decision.kind === "hbone");
    const { reason } = decision;
    assert.deepEqual(
      reason.passedOver.map(({ workloadUid, why }) => `${workloadUid.split("/").at(-1)}: ${why}`),
      [
        "sick: unhealthy",
        "portless: no target port",
        "nowhere: not reachable",
        "other: not drawn",
        "idle: weight zero",
      ],
    );
  });
});

describe("load balancing", () => {
  const place = (region: string, zone: string, node = "n"): Partial<Workload> => ({
    locality: { region, zone, subzone: "" },
    node,
  });
  const from = makeWorkload("client", { ips: ["10.0.0.1"], ...place("r1", "z1", "n1") });
  const b = (name: string, i: number, spec: Partial<Workload>): Workload =>
    backend(name, `10.0.1.${i}`, spec);
  /** Names of all endpoints that can be drawn. */
  const drawn = (
    mode: "Strict" | "Failover" | "Standard",
    preferences: readonly ("Network" | "Region" | "Zone" | "Node")[],
    endpoints: Workload[],
  ): string => {
    const records = [
      webService({
        loadBalancing: { mode, routingPreferences: preferences, healthPolicy: "OnlyHealthy" },
      }),
      ...endpoints,
    ];
    const names = new Set<string>();
    for (let i = 0; i < 20; i++) {
      const decision = decide(records, "10.96.0.1:80", { from, random: () => i / 20 });
      names.add(
        "upstream" in decision && decision.upstream !== undefined
          ? decision.upstream.name
          : decision.kind,
      );
    }
    return [...names].sort().join(" ");
  };
  const near = b("near", 1, place("r1", "z1", "n1"));
  const zone = b("zone", 2, place("r1", "z1", "n2"));
  const region = b("region", 3, place("r1", "z2", "n3"));
  const far = b("far", 4, place("r2", "z1", "n1"));
  const remote = makeWorkload("remote", {
    network: "far",
    behind: { [web]: { 80: 8080 } },
    networkGateway: makeGateway("@far/192.0.2.1"),
    ...place("r1", "z1"),
  });
  const all = [near, zone, region, far];

  const rows: readonly [string, string, Parameters<typeof drawn>][] = [
    ["standard ignores preferences", "far near region zone", ["Standard", ["Region"], all]],
    ["strict: the same node", "near", ["Strict", ["Region", "Zone", "Node"], all]],
    ["strict: a node name alone", "far near", ["Strict", ["Node"], all]],
    ["strict: none fits", "refuse", ["Strict", ["Node"], [region]]],
    ["failover: the nearest", "near", ["Failover", ["Region", "Zone", "Node"], all]],
    ["failover: the next", "zone", ["Failover", ["Region", "Zone", "Node"], [zone, region, far]]],
    ["failover: the same region", "region", ["Failover", ["Region", "Zone"], [region, far]]],
    [
      "failover: a match after a miss does not count",
      "far other",
      ["Failover", ["Region", "Zone"], [far, b("other", 5, place("r2", "z9"))]],
    ],
    ["failover: anything at last", "far", ["Failover", ["Region", "Zone"], [far]]],
    [
      "failover: our network above all",
      "far",
      ["Failover", ["Network", "Region", "Zone"], [far, remote]],
    ],
    [
      "failover: within our network the rest decides",
      "region",
      ["Failover", ["Network", "Region", "Zone"], [far, region]],
    ],
  ];
  for (const [name, expected, args] of rows)
    test(name, () => assert.equal(drawn(...args), expected));

  test("draws by weight from many as from few, and never one that cannot take it", () => {
    const many = Array.from({ length: 100 }, (_, i) =>
      backend(`e${i}`, `10.0.2.${i}`, {
        capacity: i % 4,
        status: i % 10 === 0 ? "Unhealthy" : "Healthy",
      }),
    );
    const store = storeOf([webService(), ...many]);
    let state = 1;
    const random = (): number => {
      state = (state * 48271) % 2147483647;
      return state / 2147483647;
    };
    const byWeight = [0, 0, 0, 0];
    for (let i = 0; i < 6000; i++) {
      const decision = decideIn(store, "10.96.0.1:80", { random });
      assert.ok(decision.kind === "hbone");
      const index = Number(decision.upstream.name.slice(1));
      assert.notEqual(index % 10, 0, "unhealthy");
      byWeight[index % 4] = (byWeight[index % 4] ?? 0) + 1;
      assert.equal(decision.reason.passedOverTotal, 99);
    }
    const healthy = [0, 1, 2, 3].map(
      (weight) =>
        Array.from({ length: 100 }, (_, i) => i).filter((i) => i % 4 === weight && i % 10 !== 0)
          .length * weight,
    );
    const total = healthy.reduce((sum, share) => sum + share, 0);
    for (const weight of [0, 1, 2, 3]) {
      const expected = ((healthy[weight] ?? 0) / total) * 6000;
      assert.ok(Math.abs((byWeight[weight] ?? 0) - expected) <= 150, `weight ${weight}`);
    }
  });

  test("draws by weight", () => {
    const records = [
      webService(),
      backend("one", "10.0.0.2", { capacity: 1 }),
      backend("three", "10.0.0.3", { capacity: 3 }),
    ];
    const counts = new Map<string, number>();
    for (let i = 0; i < 100; i++) {
      const decision = decide(records, "10.96.0.1:80", { random: () => i / 100 });
      assert.ok(decision.kind === "hbone");
      counts.set(decision.upstream.name, (counts.get(decision.upstream.name) ?? 0) + 1);
    }
    assert.deepEqual(
      [...counts],
      [
        ["one", 25],
        ["three", 75],
      ],
    );
  });
});
