/** Ways out of the network: a gateway with a tunnel in the tunnel, state on demand, hostnames resolved when needed. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { joinFlow } from "../../../../src/shared/hbone/flow.ts";
import { serveHbone } from "../../../../src/shared/hbone/server.ts";
import { defaultHboneSettings, type IncomingTunnel } from "../../../../src/shared/hbone/tunnel.ts";
import { handshakeServer } from "../../../../src/shared/identity/handshake.ts";
import type { MeshView } from "../../../../src/shared/model/mesh-view.ts";
import { MeshStore } from "../../../../src/shared/model/store.ts";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { decideOnDemand } from "../../../../src/ztunnel/proxy/on-demand.ts";
import { makeGateway, makeService, makeWorkload } from "../../../support/mesh-builders.ts";
import { spiffe } from "../../shared/identity/pki.ts";
import { LoopbackMesh, readAll } from "./loopback-mesh.ts";

const meshes: LoopbackMesh[] = [];
after(() => {
  for (const mesh of meshes) mesh.stop();
});

async function withGateway(gatewayForwards: boolean) {
  const mesh = new LoopbackMesh();
  meshes.push(mesh);
  const web = await mesh.addPod("web");
  const far = await mesh.addPod("far");
  const gatewayIp = mesh.address();
  const seen: IncomingTunnel[] = [];
  await mesh.serve(gatewayIp, 15008, (socket) => {
    void handshakeServer({
      socket,
      certificate: mesh.certificate(spiffe("istio-gateways/gateway")),
      trustDomain: "cluster.local",
      clock: systemClock,
    }).then(({ tls }) =>
      serveHbone(tls, defaultHboneSettings("server"), systemClock, (tunnel) => {
        seen.push(tunnel);
        if (!gatewayForwards) {
          tunnel.refuse(503);
          return;
        }
        void mesh
          .connect({ ip: far.ip, port: 15008 }, gatewayIp)
          .then((upstream) => joinFlow(tunnel.accept([]), upstream));
      }),
    );
  });
  const key = "shop/far.shop.svc.cluster.local" as const;
  const gateway = makeWorkload("gateway", {
    namespace: "istio-gateways",
    ips: [gatewayIp],
    protocol: "HBONE",
    network: "east",
  });
  const service = makeService("far", {
    at: ["/240.0.0.9"],
    ports: { 80: 8080 },
    subjectAltNames: [spiffe("shop/far")],
  });
  const remote = makeWorkload("far-remote", {
    network: "east",
    behind: { [key]: { 80: 8080 } },
    networkGateway: makeGateway(`@east/${gatewayIp}`),
  });
  // The far side knows the service as its own; here one store plays both sides.
  const local = {
    ...far.workload,
    services: new Map([[key, new Map([[80, 8080]])]]),
    status: "Healthy",
  } as const;
  mesh.store.apply({
    addresses: [
      { kind: "workload", workload: gateway },
      { kind: "service", service },
      { kind: "workload", workload: remote },
    ],
  });
  return { mesh, web, far, seen, local };
}

test("double HBONE: both CONNECTs name the service, the inner one our network, labels come from the far end", async () => {
  const { mesh, web, far, seen, local } = await withGateway(true);
  await mesh.serve(far.ip, 8080, (socket) => {
    void readAll(socket).then((text) => socket.end(`far says ${text}`));
  });
  const socket = await mesh.outbound(web, { ip: ipOf("240.0.0.9"), port: 80 });
  // Only now, so that the drawn endpoint was the remote one.
  mesh.store.apply({ addresses: [{ kind: "workload", workload: local }] });
  const answer = readAll(socket);
  socket.end("hello");
  assert.equal(await answer, "far says hello");
  assert.equal(seen[0]?.authority, "far.shop.svc.cluster.local:80");
  assert.ok(!seen[0]?.headers.some(([name]) => name === "x-forwarded-network"));
  for (let i = 0; i < 100 && mesh.accessLog().length < 2; i++) await delay(10);
  const outbound = mesh.accessLog().find((line) => line.includes('direction="outbound"')) ?? "";
  assert.match(
    outbound,
    /dst\.hbone_addr=far\.shop\.svc\.cluster\.local:80 dst\.service="far\.shop\.svc\.cluster\.local" dst\.workload="far" dst\.namespace="shop" dst\.identity="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/far"/,
  );
  const inbound = mesh.accessLog().find((line) => line.includes('direction="inbound"')) ?? "";
  assert.match(inbound, /src\.identity="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web"/);
});

test("double HBONE: a gateway that refuses is a failed connection, counted once", async () => {
  const { mesh, web } = await withGateway(false);
  assert.equal(await readAll(await mesh.outbound(web, { ip: ipOf("240.0.0.9"), port: 80 })), "");
  for (let i = 0; i < 100 && mesh.accessLog().length < 1; i++) await delay(10);
  assert.match(mesh.accessLog()[0] ?? "", /error="http status: 503 Service Unavailable"/);
  assert.match(
    await mesh.metrics.render(),
    /^istio_tcp_connections_failed_total\{reporter="source".*response_flags="CONNECT".*\} 1$/m,
  );
});

test("on demand: what a decision misses is asked for once, then it is taken again", async () => {
  const store = new MeshStore();
  const asked: string[] = [];
  const demand = async (key: string): Promise<void> => {
    asked.push(key);
    await delay(1);
    if (key === "/10.0.0.1")
      store.apply({
        addresses: [{ kind: "workload", workload: makeWorkload("a", { ips: ["10.0.0.1"] }) }],
      });
  };
  const decide = (view: MeshView): string => {
    const found = view.workloadByAddress("", ipOf("10.0.0.1"));
    if (found === undefined) return "unknown";
    return view.service("shop/waypoint") === undefined ? "no waypoint" : "waypoint";
  };
  const { signal } = new AbortController();
  assert.equal(await decideOnDemand(store, demand, signal, decide), "no waypoint");
  assert.deepEqual(asked, ["/10.0.0.1", "shop/waypoint"]);
});
