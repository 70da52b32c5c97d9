/**
 * Two networks, a ztunnel on each, and a gateway between them that ends the outer tunnel and knows nothing of the inner one.
 * What each side says of the other comes from baggage: neither can look the other up.
 */
import "../../support/sandbox.ts";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { joinFlow } from "../../../src/shared/hbone/flow.ts";
import { serveHbone } from "../../../src/shared/hbone/server.ts";
import { defaultHboneSettings, type IncomingTunnel } from "../../../src/shared/hbone/tunnel.ts";
import { handshakeServer } from "../../../src/shared/identity/handshake.ts";
import { ipOf } from "../../../src/shared/net/ip.ts";
import type { TestPod } from "../../support/pods.ts";
import { spiffe } from "../../unit/shared/identity/pki.ts";
import { eventually } from "../envoy/endpoints.ts";
import { DedicatedStage, type DedicatedZtunnel } from "./stage.ts";

const stage = new DedicatedStage();
let web: TestPod;
let far: TestPod;
let gateway: TestPod;
let west: DedicatedZtunnel;
let east: DedicatedZtunnel;
/** CONNECTs of the outer tunnels. */
const outer: IncomingTunnel[] = [];
let gatewayRefuses = false;

const farHost = "far.shop.svc.cluster.local";
const gatewayHost = "gateway.istio-gateways.svc.cluster.local";
/** Services of the far network by the address they have here. */
const byAddress = "240.240.0.1";
const byName = "240.240.0.2";
const misnamed = "240.240.0.3";

const service = (name: string, hostname: string, vip: string, more: object = {}) => ({
  name,
  namespace: "shop",
  hostname,
  vips: [vip],
  ports: { 80: 8080 },
  ...more,
});

/** A stand-in for the endpoints of a service on the other network: no address, only the way there. */
const behindGateway = (name: string, hostname: string, destination: string) => ({
  uid: `east/SplitHorizonWorkload/gw/shop/${name}`,
  name,
  namespace: "shop",
  network: "east",
  protocol: "HBONE",
  networkGateway: { destination, hboneMtlsPort: 15008 },
  services: { [`shop/${hostname}`]: { 80: 8080 } },
});

function seenFromWest(): object {
  const sans = { subjectAltNames: [spiffe("shop/far")] };
  const second = "second.shop.svc.cluster.local";
  const wrong = "wrong.shop.svc.cluster.local";
  const address = `east/${gateway.v4}`;
  return {
    services: [
      service("far", farHost, `west/${byAddress}`, sans),
      service("second", second, `west/${byName}`, sans),
      service("wrong", wrong, `west/${misnamed}`, { subjectAltNames: [spiffe("shop/somebody")] }),
      {
        ...service("gateway", gatewayHost, "east/10.96.0.99"),
        namespace: "istio-gateways",
        ports: { 15008: 15008 },
      },
    ],
    workloads: [
      {
        uid: "c-west//Pod/shop/web-1",
        name: "web-1",
        namespace: "shop",
        serviceAccount: "web",
        network: "west",
        workloadIps: [web.v4],
        workloadName: "web",
        canonicalName: "web-app",
        canonicalRevision: "v3",
        clusterId: "c-west",
        locality: { region: "west-1", zone: "west-1a" },
        protocol: "HBONE",
        node: "node1",
      },
      {
        uid: "c-east//Pod/istio-gateways/gateway-1",
        name: "gateway-1",
        namespace: "istio-gateways",
        serviceAccount: "gateway",
        network: "east",
        workloadIps: [gateway.v4],
        workloadName: "gateway",
        protocol: "HBONE",
        services: { [`istio-gateways/${gatewayHost}`]: { 15008: 15008 } },
      },
      behindGateway("far", farHost, address),
      behindGateway("second", second, `istio-gateways/${gatewayHost}`),
      behindGateway("wrong", wrong, address),
    ],
  };
}

function seenFromEast(): object {
  return {
    services: [
      service("far", farHost, "east/10.96.0.9"),
      service("second", "second.shop.svc.cluster.local", "east/10.96.0.10"),
      service("wrong", "wrong.shop.svc.cluster.local", "east/10.96.0.11"),
    ],
    workloads: [
      {
        uid: "c-east//Pod/shop/far-1",
        name: "far-1",
        namespace: "shop",
        serviceAccount: "far",
        network: "east",
        workloadIps: [far.v4],
        workloadName: "far",
        canonicalName: "far-app",
        canonicalRevision: "v7",
        clusterId: "c-east",
        locality: { region: "east-1", zone: "east-1b" },
        protocol: "HBONE",
        node: "node1",
        services: Object.fromEntries(
          ["far", "second", "wrong"].map((name) => [
            `shop/${name}.shop.svc.cluster.local`,
            { 80: 8080 },
          ]),
        ),
      },
      // Its address is the peer's: it must not be taken for the client.
      {
        uid: "c-east//Pod/istio-gateways/gateway-1",
        name: "gateway-1",
        namespace: "istio-gateways",
        network: "east",
        workloadIps: [gateway.v4],
        workloadName: "gateway",
      },
    ],
    policies: [
      {
        name: "web-only",
        namespace: "shop",
        scope: "Namespace",
        action: "Allow",
        rules: [[[{ principals: [{ Exact: "cluster.local/ns/shop/sa/web" }] }]]],
      },
    ],
  };
}

/** The gateway: outer tunnels end here, their bytes go on to the far pod's HBONE port. */
function serveGateway(): Promise<void> {
  const certificate = stage.certificate(spiffe("istio-gateways/gateway"));
  return stage.serve(gateway, 15008, (socket) => {
    void handshakeServer({
      socket,
      certificate,
      trustDomain: "cluster.local",
      clock: systemClock,
    }).then(
      ({ tls }) =>
        serveHbone(tls, defaultHboneSettings("server"), systemClock, (tunnel) => {
          outer.push(tunnel);
          if (gatewayRefuses) tunnel.refuse(503);
          else
            void stage
              .dial(gateway, far.v4, 15008)
              .then((upstream) => joinFlow(tunnel.accept([]), upstream));
        }),
      () => socket.destroy(),
    );
  });
}

before(async () => {
  await stage.open();
  web = await stage.pod(1);
  far = await stage.pod(2);
  gateway = stage.bystander(3);
  await stage.echo(far, 8080);
  await serveGateway();
  [west, east] = await Promise.all([
    stage.ztunnel(web, "shop/web-1/web", {
      ...stage.staticState("west", seenFromWest()),
      NETWORK: "west",
      CLUSTER_ID: "c-west",
    }),
    stage.ztunnel(far, "shop/far-1/far", {
      ...stage.staticState("east", seenFromEast()),
      NETWORK: "east",
      CLUSTER_ID: "c-east",
    }),
  ]);
});
after(() => stage.close());

for (const [how, vip, name] of [
  ["its address", byAddress, "far"],
  ["the name of a service", byName, "second"],
] as const)
  test(`the gateway by ${how}: bytes there and back, both hops named after the service`, async () => {
    outer.length = 0;
    assert.equal(await stage.ask(web, vip, 80, "hello"), `${gateway.v4}\nhello`);
    const host = `${name}.shop.svc.cluster.local`;
    assert.deepEqual(
      outer.map(({ authority }) => authority),
      [`${host}:80`],
    );
    const named = (header: string): string | undefined =>
      outer[0]?.headers.find(([found]) => found === header)?.[1];
    // The inner request alone carries our network; the gateway has no use for it.
    assert.equal(named("x-forwarded-network"), undefined);
    assert.match(named("forwarded") ?? "", new RegExp(`^for="10\\.1\\.0\\.11:\\d+";host=${host}$`));
    await eventually("both lines", () =>
      [west.access("outbound").at(-1), east.access("inbound").at(-1)].every((line) =>
        line?.includes(host),
      ),
    );
    assert.match(
      west.access("outbound").at(-1) ?? "",
      new RegExp(
        `^info\\taccess\\tconnection complete\\tsrc\\.addr=10\\.1\\.0\\.11:\\d+ src\\.workload="web-1" src\\.namespace="shop" src\\.identity="${spiffe("shop/web")}" src\\.cluster="c-west" dst\\.addr=10\\.1\\.0\\.13:15008 dst\\.hbone_addr=${host}:80 dst\\.service="${host}" dst\\.workload="far" dst\\.namespace="shop" dst\\.identity="${spiffe("shop/far")}" dst\\.cluster="c-east" direction="outbound" bytes_sent=5 bytes_recv=15 duration="\\d+ms"$`,
      ),
    );
    assert.match(
      east.access("inbound").at(-1) ?? "",
      new RegExp(
        `src\\.addr=10\\.1\\.0\\.13:\\d+ src\\.workload="web-app" src\\.namespace="shop" src\\.identity="${spiffe("shop/web")}" src\\.cluster="c-west" dst\\.addr=10\\.1\\.0\\.12:15008 dst\\.hbone_addr=${host}:80 dst\\.service="${host}" dst\\.workload="far-1"`,
      ),
    );
  });

test("labels: each side counts the other by what it said of itself", async () => {
  const opened = (ztunnel: DedicatedZtunnel, ...labels: string[]): Promise<number> =>
    stage.metric(ztunnel, "istio_tcp_connections_opened_total", ...labels);
  assert.equal(
    await opened(
      west,
      'reporter="source"',
      'destination_service_name="far"',
      `destination_workload="far",destination_canonical_service="far-app",destination_canonical_revision="v7",destination_workload_namespace="shop",destination_principal="${spiffe("shop/far")}",destination_app="far",destination_version="v7",destination_cluster="c-east"`,
      'source_region="west-1",source_zone="west-1a",destination_region="east-1",destination_zone="east-1b"',
    ),
    1,
  );
  assert.equal(
    await opened(
      east,
      'reporter="destination"',
      'destination_service_name="far"',
      `source_workload="web",source_canonical_service="web-app",source_canonical_revision="v3",source_workload_namespace="shop",source_principal="${spiffe("shop/web")}",source_app="web",source_version="v3",source_cluster="c-west"`,
      'source_region="west-1",source_zone="west-1a",destination_region="east-1",destination_zone="east-1b"',
    ),
    1,
  );
});

test("a far end of another name than the service's is refused", async () => {
  const before = east.access("inbound").length;
  assert.equal(await stage.ask(web, misnamed, 80, "x"), "");
  await eventually("the line", () =>
    /dst\.workload="gateway-1" .*error="tls error: /.test(west.access("outbound").at(-1) ?? ""),
  );
  const served = east.access("inbound").slice(before);
  assert.deepEqual(
    served.filter((line) => line.startsWith("info")),
    [],
  );
});

test("a gateway that refuses is a failed connection to the gateway", async () => {
  gatewayRefuses = true;
  assert.equal(await stage.ask(web, byAddress, 80, "x"), "");
  gatewayRefuses = false;
  await eventually("the line", () =>
    /dst\.workload="gateway-1" .*error="http status: 503 Service Unavailable"/.test(
      west.access("outbound").at(-1) ?? "",
    ),
  );
  assert.equal(await stage.ask(web, ipOf(byAddress), 80, "back"), `${gateway.v4}\nback`);
});
