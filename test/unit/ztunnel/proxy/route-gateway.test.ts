import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Service, Workload } from "../../../../src/shared/model/workload.ts";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { makeGateway, makeService, makeWorkload } from "../../../support/mesh-builders.ts";
import {
  app,
  backend,
  decide,
  sa,
  say,
  source,
  way,
  waypointPod,
  waypointService,
  web,
  webService,
} from "./route-fixture.ts";

describe("service waypoints", () => {
  const bound = (
    gateway = makeGateway(way),
    spec: Parameters<typeof makeService>[1] = {},
  ): Service => webService({ waypoint: gateway, ...spec });
  const rows: readonly [string, (Workload | Service)[], string, string][] = [
    [
      "by hostname",
      [bound(), backend("b", "10.0.0.2"), waypointService(), waypointPod],
      "10.96.0.1:80",
      "service-waypoint 10.0.0.9:15008 for 10.96.0.1:80",
    ],
    [
      "any port of the service",
      [bound(), waypointService(), waypointPod],
      "10.96.0.1:9999",
      "service-waypoint 10.0.0.9:15008 for 10.96.0.1:9999",
    ],
    [
      "by the service's address",
      [bound(makeGateway("@/10.96.0.9")), waypointService(), waypointPod],
      "10.96.0.1:80",
      "service-waypoint 10.0.0.9:15008 for 10.96.0.1:80",
    ],
    [
      "by the pod's address",
      [bound(makeGateway("@/10.0.0.9", 15009)), waypointPod],
      "10.96.0.1:80",
      "service-waypoint 10.0.0.9:15009 for 10.96.0.1:80",
    ],
    [
      "by a workload's hostname",
      [
        bound(makeGateway("shop/way.example", 15009)),
        makeWorkload("w", { ips: ["10.0.0.8"], hostname: "way.example" }),
      ],
      "10.96.0.1:80",
      "service-waypoint 10.0.0.8:15009 for 10.96.0.1:80",
    ],
    [
      "unknown",
      [bound(), backend("b", "10.0.0.2")],
      "10.96.0.1:80",
      `refuse unknown-waypoint: unknown waypoint: ${way}`,
    ],
    [
      "unknown address",
      [bound(makeGateway("@/10.0.0.99")), backend("b", "10.0.0.2")],
      "10.96.0.1:80",
      "refuse unknown-waypoint: unknown waypoint: /10.0.0.99",
    ],
    [
      "without endpoints",
      [bound(), waypointService(), backend("b", "10.0.0.2")],
      "10.96.0.1:80",
      `refuse unknown-waypoint: unknown waypoint: ${way}`,
    ],
    [
      "with unhealthy endpoints only",
      [bound(), waypointService(), { ...waypointPod, status: "Unhealthy" }],
      "10.96.0.1:80",
      `refuse unknown-waypoint: unknown waypoint: ${way}`,
    ],
    [
      "without the port, without a tunnel",
      [
        bound(),
        waypointService({ ports: {} }),
        { ...waypointPod, services: new Map([[way, new Map()]]) },
      ],
      "10.96.0.1:80",
      `refuse unknown-waypoint: unknown waypoint: ${way}`,
    ],
    [
      "without the port, with an application tunnel",
      [
        bound(),
        waypointService({ ports: {} }),
        {
          ...waypointPod,
          services: new Map([[way, new Map()]]),
          applicationTunnel: { protocol: "PROXY", port: 15088 },
        },
      ],
      "10.96.0.1:80",
      "service-waypoint 10.0.0.9:15008 for 10.96.0.1:80",
    ],
    [
      "IPv6 destination, IPv4 waypoint",
      [bound(makeGateway(way), { at: ["fd96::1"] }), waypointService(), waypointPod],
      "[fd96::1]:80",
      "service-waypoint 10.0.0.9:15008 for [fd96::1]:80",
    ],
  ];
  for (const [name, records, destination, expected] of rows)
    test(name, () => assert.equal(say(decide(records, destination)), expected));

  test("accept the waypoint's identities, name the addressed service and the waypoint's workload", () => {
    const decision = decide(
      [
        bound(),
        waypointService({ subjectAltNames: ["spiffe://cluster.local/ns/x/sa/w"] }),
        waypointPod,
      ],
      "10.96.0.1:80",
    );
    assert.ok(decision.kind === "hbone");
    assert.deepEqual(decision.acceptedIdentities, [
      "spiffe://cluster.local/ns/x/sa/w",
      sa("way-1"),
    ]);
    assert.equal(decision.service?.name, "web");
    assert.equal(decision.upstream.name, "way-1");
  });

  test("are drawn by weight; without weights the plain one", () => {
    const canary = "shop/canary.shop.svc.cluster.local";
    const draw = (weights: readonly [number, number], random: number): string => {
      const weighted = [makeGateway(way), makeGateway(canary)].map((destination, i) => ({
        destination,
        weight: weights[i] ?? 0,
      }));
      return (
        say(
          decide(
            [
              bound(makeGateway("@/10.0.0.8"), { weightedWaypoints: weighted }),
              waypointService(),
              waypointPod,
              makeWorkload("plain", { ips: ["10.0.0.8"] }),
              makeService("canary", { ports: { 15008: 15008 } }),
              makeWorkload("canary-1", {
                ips: ["10.0.0.10"],
                behind: { [canary]: { 15008: 15008 } },
              }),
            ],
            "10.96.0.1:80",
            { random: () => random },
          ),
        ).split(" ")[1] ?? ""
      );
    };
    assert.equal(draw([90, 10], 0.89), "10.0.0.9:15008");
    assert.equal(draw([90, 10], 0.91), "10.0.0.10:15008");
    assert.equal(draw([0, 10], 0), "10.0.0.10:15008");
    assert.equal(draw([0, 0], 0.5), "10.0.0.8:15008");
  });
});

describe("workload waypoints", () => {
  const target = makeWorkload("app", { ips: ["10.0.0.2"], waypoint: makeGateway(way) });
  test("take what is addressed to the workload", () => {
    assert.equal(
      say(decide([target, waypointService(), waypointPod], "10.0.0.2:80")),
      "workload-waypoint 10.0.0.9:15008 for 10.0.0.2:80",
    );
  });

  test("are never bypassed", () => {
    assert.equal(
      say(decide([target], "10.0.0.2:80")),
      `refuse unknown-waypoint: unknown waypoint: ${way}`,
    );
  });

  test("are left out when the client is the waypoint itself: identity and address must both fit", () => {
    const records = [target, waypointService()];
    const from = waypointPod;
    const direct = "direct 10.0.0.2:15008 for 10.0.0.2:80";
    const through = "workload-waypoint 10.0.0.9:15008 for 10.0.0.2:80";
    assert.equal(say(decide(records, "10.0.0.2:80", { from, sourceIp: "10.0.0.9" })), direct);
    assert.equal(say(decide(records, "10.0.0.2:80", { from, sourceIp: "10.0.0.66" })), through);
    const impostor = makeWorkload("impostor", { ips: ["10.0.0.66"] });
    assert.equal(
      say(
        decide([...records, waypointPod], "10.0.0.2:80", { from: impostor, sourceIp: "10.0.0.9" }),
      ),
      through,
    );
    const byAddress = [{ ...target, waypoint: makeGateway("@/10.0.0.9") }];
    assert.equal(say(decide(byAddress, "10.0.0.2:80", { from, sourceIp: "10.0.0.9" })), direct);
  });
});

describe("other networks", () => {
  const gateway = makeWorkload("gateway", { ips: ["192.0.2.1"], network: "far" });
  const remote = makeWorkload("remote", {
    network: "far",
    networkGateway: makeGateway("@far/192.0.2.1"),
    behind: { [web]: { 80: 8080 } },
  });
  const service = webService({ subjectAltNames: [sa("remote")] });

  test("are reached through their gateway, by the service's name", () => {
    const decision = decide([service, remote, gateway], "10.96.0.1:80", {
      from: { ...source, network: "" },
    });
    assert.equal(say(decision), "double 192.0.2.1:15008 for web.shop.svc.cluster.local:80 on ");
    assert.ok(decision.kind === "double-hbone");
    assert.deepEqual(decision.acceptedIdentities, [sa("gateway")]);
    assert.deepEqual(decision.innerIdentities, [sa("remote")]);
    assert.equal(decision.upstream.name, "remote");
    assert.equal(decision.gateway.name, "gateway");
    assert.equal(decision.service?.name, "web");
  });

  test("through a gateway that is a service, with its identities", () => {
    const east = "shop/east.shop.svc.cluster.local";
    const decision = decide(
      [
        service,
        { ...remote, networkGateway: makeGateway(east) },
        makeService("east", { ports: { 15008: 15008 }, subjectAltNames: [sa("east")] }),
        makeWorkload("east-1", { ips: ["192.0.2.2"], behind: { [east]: { 15008: 15008 } } }),
      ],
      "10.96.0.1:80",
    );
    assert.equal(say(decision), "double 192.0.2.2:15008 for web.shop.svc.cluster.local:80 on ");
    assert.deepEqual(decision.kind === "double-hbone" && decision.acceptedIdentities, [
      sa("east"),
      sa("east-1"),
    ]);
  });

  const rows: readonly [string, (Workload | Service)[], string][] = [
    [
      "an unknown gateway",
      [service, remote],
      "refuse unknown-network-gateway: unknown network gateway: far/192.0.2.1",
    ],
    [
      "no gateway, but an address",
      [
        service,
        makeWorkload("r", { ips: ["10.0.0.5"], network: "far", behind: { [web]: { 80: 8080 } } }),
      ],
      'refuse no-route: no valid routing destination for workload Kubernetes//Pod/shop/r: it is on network "far", which has no gateway',
    ],
    [
      "no gateway and no address",
      [service, makeWorkload("r", { network: "far", behind: { [web]: { 80: 8080 } } })],
      "refuse no-healthy-upstream: no healthy upstream: 10.96.0.1:80",
    ],
    [
      "a gateway in our own network is no way",
      [
        service,
        makeWorkload("r", {
          networkGateway: makeGateway("@/192.0.2.1"),
          behind: { [web]: { 80: 8080 } },
        }),
      ],
      "refuse no-healthy-upstream: no healthy upstream: 10.96.0.1:80",
    ],
    [
      "the local endpoint is unhealthy, so the remote one is taken",
      [service, backend("b", "10.0.0.2", { status: "Unhealthy" }), remote, gateway],
      "double 192.0.2.1:15008 for web.shop.svc.cluster.local:80 on ",
    ],
  ];
  for (const [name, records, expected] of rows)
    test(name, () => assert.equal(say(decide(records, "10.96.0.1:80")), expected));

  test("a waypoint there is reached through its gateway, and must show the waypoint service's identities", () => {
    const waypointThere = makeWorkload("way-far", {
      network: "far",
      networkGateway: makeGateway("@far/192.0.2.1"),
      behind: { [way]: { 15008: 15008 } },
    });
    const decision = decide(
      [
        webService({ waypoint: makeGateway(way), subjectAltNames: [sa("remote")] }),
        waypointService({ subjectAltNames: [sa("way")] }),
        waypointThere,
        gateway,
      ],
      "10.96.0.1:80",
    );
    assert.equal(say(decision), "double 192.0.2.1:15008 for web.shop.svc.cluster.local:80 on ");
    assert.deepEqual(decision.kind === "double-hbone" && decision.innerIdentities, [sa("way")]);
  });

  test("cannot be addressed by a workload's address that is also a service's", () => {
    const both = webService({ at: ["10.0.0.2"] });
    assert.equal(
      say(decide([both, app, remote, gateway], "10.0.0.2:80")),
      "refuse no-route: no service for target address",
    );
  });
});

describe("workloads known by name only", () => {
  const named = makeWorkload("named", {
    hostname: "named.example",
    behind: { [web]: { 80: 8080 } },
  });

  test("ask for a lookup, then go on", () => {
    const step = decide([webService(), named], "10.96.0.1:80");
    assert.ok(step.kind === "resolve");
    assert.equal(step.hostname, "named.example");
    assert.equal(step.preferredFamily, 4);
    const addresses = ["fd00::7", "10.0.0.7"].map(ipOf);
    assert.equal(say(step.proceed(addresses)), "direct 10.0.0.7:15008 for 10.0.0.7:8080");
    assert.equal(
      say(step.proceed(addresses.slice(0, 1))),
      "direct [fd00::7]:15008 for [fd00::7]:8080",
    );
    assert.equal(
      say(step.proceed([])),
      "refuse no-healthy-upstream: no healthy upstream: 10.96.0.1:80",
    );
  });

  test("may be waypoints", () => {
    const pod = { ...waypointPod, addresses: [], hostname: "way.example" };
    const step = decide(
      [webService({ waypoint: makeGateway(way) }), waypointService(), pod],
      "10.96.0.1:80",
    );
    assert.ok(step.kind === "resolve");
    assert.equal(
      say(step.proceed([ipOf("10.0.0.7")])),
      "service-waypoint 10.0.0.7:15008 for 10.96.0.1:80",
    );
    assert.equal(say(step.proceed([])), `refuse unknown-waypoint: unknown waypoint: ${way}`);
  });
});
