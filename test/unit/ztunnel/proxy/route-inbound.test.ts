import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MeshStore } from "../../../../src/shared/model/store.ts";
import type { Service, Workload } from "../../../../src/shared/model/workload.ts";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { illegalPorts } from "../../../../src/ztunnel/proxy/route.ts";
import { decideInbound, decidePassthrough } from "../../../../src/ztunnel/proxy/route-inbound.ts";
import type {
  InboundContext,
  InboundDecision,
  InboundRequest,
} from "../../../../src/ztunnel/proxy/route-inbound-types.ts";
import { makeGateway, makeService, makeWorkload } from "../../../support/mesh-builders.ts";

const web = "shop/web.shop.svc.cluster.local";
const host = "web.shop.svc.cluster.local";
const way = "shop/way.shop.svc.cluster.local";
const context: InboundContext = {
  network: "",
  illegalPorts: illegalPorts({ socks5: false }),
  localhostAppTunnel: true,
};

function storeOf(records: readonly (Workload | Service)[]): MeshStore {
  const store = new MeshStore();
  store.apply({
    addresses: records.map((record) =>
      "uid" in record
        ? { kind: "workload", workload: record }
        : { kind: "service", service: record },
    ),
  });
  return store;
}

function decide(
  local: Workload | undefined,
  authority: string,
  options: {
    records?: readonly (Workload | Service)[];
    context?: Partial<InboundContext>;
    request?: Partial<InboundRequest>;
  } = {},
): InboundDecision {
  const records = [...(local === undefined ? [] : [local]), ...(options.records ?? [])];
  return decideInbound(
    storeOf(records),
    { ...context, ...options.context },
    {
      local,
      peer: { ip: ipOf("10.0.0.1"), port: 40000 },
      peerIdentity: { trustDomain: "cluster.local", namespace: "shop", serviceAccount: "client" },
      connectionDestination: { ip: ipOf("10.0.0.2"), port: 15008 },
      method: "CONNECT",
      authority,
      ...options.request,
    },
  );
}

function say(decision: InboundDecision): string {
  if (decision.kind === "refuse") return `${decision.status} ${decision.code}: ${decision.message}`;
  const { destination, sourceBinding, proxyHeader } = decision;
  const proxy =
    proxyHeader === undefined
      ? ""
      : `, PROXY ${proxyHeader.destination.ip} ${proxyHeader.destination.port}`;
  return `${destination.ip} ${destination.port} from ${sourceBinding}${proxy}`;
}

const app = makeWorkload("app", { ips: ["10.0.0.2"], behind: { [web]: { 80: 8080 } } });
const service = (spec: Parameters<typeof makeService>[1] = {}): Service =>
  makeService("web", { at: ["10.96.0.1"], ports: { 80: 8080 }, ...spec });

describe("checks in their order", () => {
  const rows: readonly [string, Workload | undefined, string, Partial<InboundRequest>, string][] = [
    [
      "the method",
      app,
      "10.0.0.2:80",
      { method: "GET" },
      "400 bad-connect: expected method CONNECT, got GET",
    ],
    ["the authority", app, "10.0.0.2", {}, "400 bad-connect: invalid CONNECT address 10.0.0.2"],
    ["an empty authority", app, "", {}, "400 bad-connect: invalid CONNECT address "],
    [
      "a port out of range",
      app,
      "10.0.0.2:70000",
      {},
      "400 bad-connect: invalid CONNECT address 10.0.0.2:70000",
    ],
    [
      "the local workload",
      undefined,
      "10.0.0.2:80",
      {},
      "503 unknown-workload: the pod's own workload is not known",
    ],
    [
      "the destination",
      app,
      "10.0.0.3:80",
      {},
      "400 destination-mismatch: ip mismatch: 10.0.0.2 != 10.0.0.3",
    ],
    [
      "the hostname",
      app,
      "nobody.example:80",
      {},
      "503 unknown-destination: no service or workload for hostname: nobody.example",
    ],
    [
      "self calls",
      app,
      "10.0.0.2:15008",
      {},
      "503 self-call: attempted recursive call to ourselves",
    ],
    [
      "self calls to 15006",
      app,
      "10.0.0.2:15006",
      {},
      "503 self-call: attempted recursive call to ourselves",
    ],
    ["all good", app, "10.0.0.2:80", {}, "10.0.0.2 80 from peer"],
    [
      "a call to itself",
      app,
      "10.0.0.2:80",
      { peer: { ip: ipOf("10.0.0.2"), port: 1 } },
      "10.0.0.2 80 from own",
    ],
  ];
  for (const [name, local, authority, request, expected] of rows)
    test(name, () => assert.equal(say(decide(local, authority, { request })), expected));
});

test("authorization sees the TCP peer, the certificate, and the application's address", () => {
  const decision = decide(app, "10.0.0.2:80");
  assert.ok(decision.kind === "connect");
  assert.deepEqual(decision.facts, {
    sourceIp: "10.0.0.1",
    peer: { trustDomain: "cluster.local", namespace: "shop", serviceAccount: "client" },
    destinationIp: "10.0.0.2",
    destinationPort: 80,
  });
});

describe("hostname authorities", () => {
  const rows: readonly [string, Workload, Service[], string, string][] = [
    [
      "the endpoint's port",
      app,
      [service({ ports: { 80: 1 } })],
      `${host}:80`,
      "10.0.0.2 8080 from peer",
    ],
    ["a named port", app, [service({ ports: { 80: 0 } })], `${host}:80`, "10.0.0.2 8080 from peer"],
    [
      "the service's port",
      makeWorkload("w", { ips: ["10.0.0.2"] }),
      [service()],
      `${host}:80`,
      "10.0.0.2 8080 from peer",
    ],
    [
      "a port nobody knows",
      app,
      [service()],
      `${host}:81`,
      `503 unknown-destination: requested service ${host}:81 found, but cannot resolve port`,
    ],
    [
      "a named port we have no mapping for",
      makeWorkload("w", { ips: ["10.0.0.2"] }),
      [service({ ports: { 80: 0 } })],
      `${host}:80`,
      `503 unknown-destination: requested service ${host}:80 found, but cannot resolve port`,
    ],
    [
      "a port that leads to ourselves",
      app,
      [service({ ports: { 81: 15001 } })],
      `${host}:81`,
      "503 self-call: attempted recursive call to ourselves",
    ],
    ["upper case", app, [service()], `${host.toUpperCase()}:80`, "10.0.0.2 8080 from peer"],
  ];
  for (const [name, local, records, authority, expected] of rows)
    test(name, () => assert.equal(say(decide(local, authority, { records })), expected));

  test("of several namespaces: the one we stand behind, then our own", () => {
    const shared = (namespace: string, target: number): Service =>
      service({ namespace, hostname: "api.example", ports: { 80: target } });
    const records = [shared("a", 1), shared("shop", 2), shared("z", 3)];
    assert.equal(say(decide(app, "api.example:80", { records })), "10.0.0.2 2 from peer");
    const behind = makeWorkload("app", {
      ips: ["10.0.0.2"],
      behind: { "z/api.example": { 80: 33 } },
    });
    assert.equal(say(decide(behind, "api.example:80", { records })), "10.0.0.2 33 from peer");
  });

  test("are reported under their service", () => {
    const decision = decide(app, `${host}:80`, { records: [service()] });
    assert.equal(decision.kind === "connect" && decision.service?.name, "web");
  });
});

describe("destinations that are not our address", () => {
  const waypoint = makeWorkload("way-1", {
    ips: ["10.0.0.2"],
    behind: { [way]: { 15008: 15008 } },
  });
  const waypointService = makeService("way", { at: ["10.96.0.9"], ports: { 15008: 15008 } });
  const ok = "10.0.0.2 80 from peer";
  const mismatch = (ip: string): string =>
    `400 destination-mismatch: ip mismatch: 10.0.0.2 != ${ip}`;
  const rows: readonly [string, (Workload | Service)[], string, string][] = [
    [
      "a service whose waypoint we are",
      [waypointService, service({ waypoint: makeGateway(way) })],
      "10.96.0.1:80",
      ok,
    ],
    [
      "a service whose weighted waypoint we are",
      [
        waypointService,
        service({ weightedWaypoints: [{ destination: makeGateway(way), weight: 1 }] }),
      ],
      "10.96.0.1:80",
      ok,
    ],
    [
      "a service whose waypoint, by address, we are",
      [waypointService, service({ waypoint: makeGateway("@/10.96.0.9") })],
      "10.96.0.1:80",
      ok,
    ],
    [
      "a workload whose waypoint we are",
      [waypointService, makeWorkload("x", { ips: ["10.0.0.7"], waypoint: makeGateway(way) })],
      "10.0.0.7:80",
      ok,
    ],
    [
      "a workload whose waypoint has our address",
      [makeWorkload("x", { ips: ["10.0.0.7"], waypoint: makeGateway("@/10.0.0.2") })],
      "10.0.0.7:80",
      ok,
    ],
    [
      "a service with another waypoint",
      [waypointService, service({ waypoint: makeGateway("shop/other.example") })],
      "10.96.0.1:80",
      mismatch("10.96.0.1"),
    ],
    ["a service without waypoint", [service()], "10.96.0.1:80", mismatch("10.96.0.1")],
    [
      "a service of which we are only an endpoint",
      [service(), { ...waypoint, services: new Map([[web, new Map([[80, 80]])]]) }],
      "10.96.0.1:80",
      mismatch("10.96.0.1"),
    ],
    ["an unknown address", [], "203.0.113.1:80", mismatch("203.0.113.1")],
  ];
  for (const [name, records, authority, expected] of rows)
    test(name, () => {
      const local = records.find((record) => "uid" in record && record.uid === waypoint.uid);
      const own = (local as Workload | undefined) ?? waypoint;
      assert.equal(say(decide(own, authority, { records })), expected);
    });
});

describe("application tunnels", () => {
  const tunneled = (
    applicationTunnel: NonNullable<Workload["applicationTunnel"]>,
    ips = ["10.0.0.2"],
  ): Workload => makeWorkload("way-1", { ips, applicationTunnel });
  const proxy = tunneled({ protocol: "PROXY", port: 15088 });

  test("take any authority, and override the port", () => {
    assert.equal(
      say(decide(proxy, "203.0.113.1:443")),
      "127.0.0.1 15088 from loopback, PROXY 203.0.113.1 443",
    );
    assert.equal(
      say(decide(tunneled({ protocol: "NONE", port: 15088 }), "203.0.113.1:443")),
      "10.0.0.2 15088 from peer",
    );
    assert.equal(
      say(decide(tunneled({ protocol: "PROXY" }), "203.0.113.1:443")),
      "127.0.0.1 443 from loopback, PROXY 203.0.113.1 443",
    );
  });

  test("stay at the pod's address when loopback is not wanted", () => {
    const options = { context: { localhostAppTunnel: false } };
    assert.equal(
      say(decide(proxy, "203.0.113.1:443", options)),
      "10.0.0.2 15088 from peer, PROXY 203.0.113.1 443",
    );
  });

  test("use the loopback of the connection's family", () => {
    const local = tunneled({ protocol: "PROXY", port: 15088 }, ["fd00::2"]);
    const request = { connectionDestination: { ip: ipOf("fd00::2"), port: 15008 } };
    assert.equal(
      say(decide(local, "[fd00::9]:443", { request })),
      "::1 15088 from loopback, PROXY fd00::9 443",
    );
  });

  test("name the peer in the PROXY header; policies see the pod's address and the final port", () => {
    const decision = decide(proxy, "203.0.113.1:443");
    assert.ok(decision.kind === "connect");
    assert.equal(decision.proxyHeader?.identity, "spiffe://cluster.local/ns/shop/sa/client");
    assert.deepEqual(decision.proxyHeader?.source, { ip: "10.0.0.1", port: 40000 });
    assert.equal(decision.facts.destinationIp, "10.0.0.2");
    assert.equal(decision.facts.destinationPort, 15088);
  });

  test("with a hostname name one of the service's addresses: our network first, IPv4 first", () => {
    const records = [service({ at: ["fd96::1", "far/10.97.0.1", "10.96.0.1"] })];
    assert.equal(
      say(decide(proxy, `${host}:80`, { records })),
      "127.0.0.1 15088 from loopback, PROXY 10.96.0.1 80",
    );
    const none = [service({ at: [] })];
    assert.equal(
      say(decide(proxy, `${host}:80`, { records: none })),
      `503 unknown-destination: requested service ${host}:80 found, but has no IP addresses`,
    );
  });

  test("make up for a port that the service does not map", () => {
    const records = [service({ ports: { 80: 0 } })];
    assert.equal(
      say(decide(proxy, `${host}:80`, { records })),
      "127.0.0.1 15088 from loopback, PROXY 10.96.0.1 80",
    );
  });

  test("may not lead to our own ports", () => {
    assert.equal(
      say(decide(tunneled({ protocol: "NONE", port: 15008 }), "10.0.0.2:80")),
      "503 self-call: attempted recursive call to ourselves",
    );
  });
});

describe("the reported service", () => {
  const other = "shop/other.shop.svc.cluster.local";
  const local = makeWorkload("app", {
    ips: ["10.0.0.2"],
    behind: { [web]: { 80: 8080 }, [other]: { 81: 8080, 82: 9090 } },
  });
  const records = [service(), makeService("other")];
  const reported = (authority: string, forwardedHost?: string): string | undefined => {
    const decision = decide(local, authority, { records, request: { forwardedHost } });
    return decision.kind === "connect" ? decision.service?.name : decision.kind;
  };

  test("is the one the client named, else the first with that port, else none", () => {
    assert.equal(reported("10.0.0.2:8080"), "web");
    assert.equal(reported("10.0.0.2:8080", "other.shop.svc.cluster.local"), "other");
    assert.equal(reported("10.0.0.2:8080", "stranger.example"), "web");
    assert.equal(reported("10.0.0.2:9090"), "other");
    assert.equal(reported("10.0.0.2:1"), undefined);
  });
});

describe("plaintext", () => {
  const decidePlain = (port: number, peer = "10.0.0.1"): InboundDecision =>
    decidePassthrough(storeOf([app, service()]), context, {
      local: app,
      peer: { ip: ipOf(peer), port: 1 },
      destination: { ip: ipOf("10.0.0.2"), port },
    });

  test("goes where it wanted to, without an identity", () => {
    const decision = decidePlain(8080);
    assert.equal(say(decision), "10.0.0.2 8080 from peer");
    assert.ok(decision.kind === "connect");
    assert.equal(decision.facts.peer, undefined);
    assert.equal(decision.service?.name, "web");
    assert.equal(say(decidePlain(80, "10.0.0.2")), "10.0.0.2 80 from own");
  });

  test("to our own ports is refused", () => {
    for (const port of [15001, 15006, 15008])
      assert.equal(say(decidePlain(port)), "503 self-call: attempted recursive call to ourselves");
  });
});
