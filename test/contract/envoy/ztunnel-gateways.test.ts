/** Envoy where the mesh has gateways: as the waypoint of a service, and as the gateway of another network (double HBONE). */
import "../../support/sandbox.ts";
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Envoy, envoyVersion, withoutEnvoy } from "../../support/envoy.ts";
import { echoServer, portOf } from "../../support/hbone.ts";
import { spiffe } from "../../unit/shared/identity/pki.ts";
import { cutByPeer, eventually, HboneServer } from "./endpoints.ts";
import { type AccessLogLine, plainCluster, terminatingListener } from "./resources.ts";
import { pods, ZtunnelStage } from "./ztunnel-stage.ts";

const far = "far.shop.svc.cluster.local";
const service = { namespace: "shop", ports: { 80: 8080 } };
const farWorkload = (name: string) => ({
  uid: `remote//Pod/shop/${name}`,
  name,
  namespace: "shop",
  network: "remote",
  protocol: "HBONE",
  networkGateway: { destination: `/${pods.db}`, hboneMtlsPort: 15008 },
  services: { [`shop/${name}.shop.svc.cluster.local`]: { 80: 8080 } },
});

/** On top of what the control plane says. */
const localState = {
  services: [
    {
      ...service,
      name: "bound",
      hostname: "bound.shop.svc.cluster.local",
      vips: ["/10.96.2.1"],
      waypoint: { destination: `/${pods.ratings}`, hboneMtlsPort: 15008 },
    },
    {
      ...service,
      name: "lost",
      hostname: "lost.shop.svc.cluster.local",
      vips: ["/10.96.2.3"],
      waypoint: { destination: "/10.10.9.9", hboneMtlsPort: 15008 },
    },
    {
      ...service,
      name: "far",
      hostname: far,
      vips: ["/10.96.2.2"],
      subjectAltNames: [spiffe("shop/remote")],
    },
    {
      ...service,
      name: "false",
      hostname: "false.shop.svc.cluster.local",
      vips: ["/10.96.2.4"],
      subjectAltNames: [spiffe("shop/somebody")],
    },
  ],
  workloads: [farWorkload("far"), farWorkload("false")],
};

test("Envoy is installed", { skip: withoutEnvoy }, (context) =>
  context.diagnostic(`peer: Envoy ${envoyVersion()}`),
);

describe("Envoy as a gateway of the ztunnel", { skip: withoutEnvoy }, () => {
  const stage = new ZtunnelStage();
  const log = (name: string): string => join(stage.dir, `${name}.log`);
  let gateways: Envoy;
  let application: Server;
  let farEcho: Server;
  let inner: HboneServer;

  before(async () => {
    await stage.open();
    await stage.startZtunnel({ LOCAL_XDS: JSON.stringify(localState) });
    application = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      socket.on("error", () => socket.destroy());
      socket.pipe(socket);
    });
    await once(application.listen(8080, pods.ratings), "listening");
    farEcho = await echoServer();
    inner = await HboneServer.listen(await stage.certificate("shop/remote"), portOf(farEcho));
    const caller = spiffe("shop/reviews");
    const listener = async (name: string, account: string, ip: string) =>
      terminatingListener(name, name, await stage.certificate(account), caller, {
        at: `${ip}:15008`,
        accessLog: log(name),
      });
    gateways = await Envoy.start({
      listeners: [
        await listener("waypoint", "shop/ratings", pods.ratings),
        await listener("network", "shop/db", pods.db),
      ],
      clusters: [
        plainCluster("waypoint", `${pods.ratings}:8080`),
        plainCluster("network", inner.port),
      ],
    });
  });

  after(async () => {
    await gateways?.stop();
    await inner?.close();
    application?.close();
    farEcho?.close();
    await stage.close();
    process.disconnect?.();
  });

  const lastLine = async (name: string): Promise<AccessLogLine> => {
    const lines = (): readonly string[] => readFileSync(log(name), "utf8").trimEnd().split("\n");
    await eventually("a line of the log", () => lines()[0] !== "");
    return JSON.parse(lines().at(-1) ?? "") as AccessLogLine;
  };

  for (const size of [0, 1, 16_384, 3_000_000])
    test(`waypoint of a service: ${size} bytes there and back`, async () => {
      assert.ok(await stage.echoes("10.96.2.1", 80, size));
    });

  test("the waypoint is told the virtual address and the service", async () => {
    assert.ok(await stage.echoes("10.96.2.1", 80, 10));
    const { authority, forwarded, peer } = await lastLine("waypoint");
    assert.equal(authority, "10.96.2.1:80");
    assert.match(forwarded, /^for="10\.10\.1\.11:\d+";host=bound\.shop\.svc\.cluster\.local$/);
    assert.equal(peer, spiffe("shop/reviews"));
  });

  test("a waypoint that cannot be found is never bypassed", async () => {
    await cutByPeer(await stage.outbound("10.96.2.3", 80));
  });

  for (const size of [0, 1, 16_384, 3_000_000])
    test(`another network: ${size} bytes there and back through two tunnels`, async () => {
      assert.ok(await stage.echoes("10.96.2.2", 80, size));
    });

  test("another network: 50 connections at once", async () => {
    const fine = await Promise.all(
      Array.from({ length: 50 }, () => stage.echoes("10.96.2.2", 80, 20_000)),
    );
    assert.ok(fine.every(Boolean));
  });

  test("another network: both hops carry the name of the service, the inner one is for the far side alone", async () => {
    assert.ok(await stage.echoes("10.96.2.2", 80, 10));
    assert.equal((await lastLine("network")).authority, `${far}:80`);
    assert.equal(inner.requests.at(-1)?.authority, `${far}:80`);
    assert.deepEqual([...new Set(inner.peers)], [spiffe("shop/reviews")]);
  });

  test("another network: a far side of another name than the service's is refused", async () => {
    const before = inner.requests.length;
    await cutByPeer(await stage.outbound("10.96.2.4", 80));
    assert.equal(inner.requests.length, before);
  });
});
