/** Every denial and refusal leaves a record: who, by what identity, by which rule or for which reason, and on which way. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { decisionView } from "../../../../src/ztunnel/proxy/decision-view.ts";
import { DecisionRing } from "../../../../src/ztunnel/proxy/decisions.ts";
import { makeGateway, makePolicy, makeRule, makeService } from "../../../support/mesh-builders.ts";
import { LoopbackMesh, readAll } from "./loopback-mesh.ts";

const meshes: LoopbackMesh[] = [];
after(() => {
  for (const mesh of meshes) mesh.stop();
});

async function shop() {
  const mesh = new LoopbackMesh();
  meshes.push(mesh);
  const web = await mesh.addPod("web");
  const orders = await mesh.addPod("orders");
  await mesh.serve(orders.ip, 8080, (socket) => socket.end("hi"));
  return { mesh, web, orders };
}

type View = ReturnType<typeof decisionView>;

async function views(mesh: LoopbackMesh, count: number): Promise<View[]> {
  for (let i = 0; i < 200; i++) {
    const records = mesh.decisions.latest(10);
    if (records.length >= count) return records.map(decisionView);
    await delay(10);
  }
  assert.fail(`fewer than ${count} records`);
}

function identities(view: View): unknown {
  const [source, destination] = [view["source"], view["destination"]] as {
    identity: unknown;
    identityFrom: unknown;
  }[];
  return [source?.identity, source?.identityFrom, destination?.identity, destination?.identityFrom];
}

const web = "spiffe://cluster.local/ns/shop/sa/web";
const orders = "spiffe://cluster.local/ns/shop/sa/orders";
const own = "the pod's service account, as the node agent names it; proven by our certificate";

describe("a denial by policy", () => {
  test("is recorded at both ends of the tunnel", async () => {
    const { mesh, web: client, orders: server } = await shop();
    const rule = makeRule({ namespaces: [{ kind: "exact", value: "shop" }] });
    mesh.store.apply({
      policies: [
        makePolicy("not-shop", {
          action: "Deny",
          rules: [makeRule({ destinationPorts: [1] }), rule],
        }),
        makePolicy("maybe", { action: "Deny", dryRun: true, rules: [rule] }),
      ],
    });
    await readAll(await mesh.outbound(client, { ip: server.ip, port: 8080 }));
    const [there, here] = (await views(mesh, 2)).toSorted((a, b) =>
      a["direction"] === "inbound" ? -1 : b["direction"] === "inbound" ? 1 : 0,
    );
    assert.ok(there && here);
    assert.equal(there["outcome"], "denied");
    assert.equal(there["reason"], "explicitly denied by: shop/not-shop");
    assert.equal(there["decidedBy"], "shop/not-shop rule 1");
    assert.deepEqual(there["rule"], { policy: "shop/not-shop", rule: 1 });
    assert.deepEqual(
      (there["policies"] as { policy: string }[]).map(({ policy }) => policy),
      ["shop/maybe", "shop/not-shop"],
    );
    assert.deepEqual(there["dryRun"], [
      "dry run: shop/maybe rule 0 would deny this; it is not enforced",
    ]);
    assert.ok((there["wouldChange"] as string[]).length > 0);
    assert.deepEqual(identities(there), [web, "client certificate", orders, own]);

    assert.equal(here["outcome"], "refused");
    assert.equal(here["reason"], "http status: 401 Unauthorized");
    assert.equal((here["route"] as { nextHop: string }).nextHop, `${server.ip}:15008`);
    assert.deepEqual(identities(here), [
      web,
      own,
      orders,
      "the control plane's records; what the next hop must prove",
    ]);
    JSON.stringify([there, here]);
  });

  test("names no rule where the absence of one decided", async () => {
    const { mesh, orders: server } = await shop();
    mesh.store.apply({ policies: [makePolicy("closed")] });
    await readAll(await mesh.plaintext(server, 8080, mesh.address()));
    const [view] = await views(mesh, 1);
    assert.ok(view);
    assert.equal(view["decidedBy"], null);
    assert.equal(view["reason"], "allow policies exist, but none allowed");
    assert.deepEqual(identities(view), [null, "none: the connection is plaintext", orders, own]);
  });
});

describe("a refusal", () => {
  test("for want of a waypoint says what was looked for", async () => {
    const { mesh, web: client } = await shop();
    const waypoint = makeGateway("shop/way.shop.svc.cluster.local");
    const service = makeService("far", { at: ["/240.240.0.9"], ports: { 80: 8080 }, waypoint });
    mesh.store.apply({ addresses: [{ kind: "service", service }] });
    await readAll(await mesh.outbound(client, { ip: ipOf("240.240.0.9"), port: 80 }));
    const [view] = await views(mesh, 1);
    assert.ok(view);
    assert.equal(view["code"], "unknown-waypoint");
    assert.equal(view["reason"], "unknown waypoint: shop/way.shop.svc.cluster.local");
    assert.deepEqual((view["route"] as { addressed: unknown }).addressed, {
      kind: "service",
      hostname: "far.shop.svc.cluster.local",
      namespace: "shop",
    });
    assert.equal((await views(mesh, 1)).length, 1, "once");
  });

  test("of a call to ourselves, and of one in plaintext", async () => {
    const { mesh, web: client, orders: server } = await shop();
    await readAll(await mesh.outbound(client, { ip: ipOf("127.0.0.1"), port: 15006 }));
    await readAll(await mesh.plaintext(server, 15006, mesh.address()));
    const found = await views(mesh, 2);
    assert.deepEqual(
      found.map((view) => [view["direction"], view["code"]]),
      [
        ["inbound", "self-call"],
        ["outbound", "self-call"],
      ],
    );
  });

  test("of a peer that is not who it must be", async () => {
    const { mesh, web: client, orders: server } = await shop();
    const { workload } = server;
    // The control plane's record changes its account; the pod still proves the old one.
    mesh.store.apply({
      addresses: [{ kind: "workload", workload: { ...workload, serviceAccount: "other" } }],
    });
    await readAll(await mesh.outbound(client, { ip: server.ip, port: 8080 }));
    const found = await views(mesh, 1);
    const view = found.find((one) => one["direction"] === "outbound");
    assert.ok(view, JSON.stringify(found));
    assert.equal(
      (view["destination"] as { identity: string }).identity,
      orders.replace("/orders", "/other"),
    );
  });

  test("of a client without a certificate", async () => {
    const { mesh, orders: server } = await shop();
    const socket = await mesh.connect({ ip: server.ip, port: 15008 }, mesh.address());
    socket.end("GET / HTTP/1.0\r\n\r\n");
    await readAll(socket);
    const [view] = await views(mesh, 1);
    assert.ok(view);
    assert.equal(view["code"], "tls-failed");
    assert.deepEqual(identities(view), [null, "none: the client has not proven any", orders, own]);
  });

  test("nobody decided that an application does not listen: no record", async () => {
    const { mesh, web: client, orders: server } = await shop();
    await readAll(await mesh.plaintext(server, 9999, mesh.address()));
    for (let i = 0; i < 100 && mesh.accessLog().length < 1; i++) await delay(10);
    assert.match(mesh.accessLog()[0] ?? "", /error="connect \S+:9999: connection refused"/);
    assert.deepEqual(mesh.decisions.latest(10), []);
    assert.ok(client);
  });
});

test("the ring keeps the newest and never grows", () => {
  const ring = new DecisionRing(3);
  const add = (port: number): void =>
    ring.add({
      wallMs: port,
      direction: "inbound",
      pod: { namespace: "a", name: "b" },
      own: undefined,
      source: { ip: ipOf("10.0.0.1"), port },
      destination: undefined,
      outcome: { kind: "refused", code: "self-call", message: "" },
    });
  for (let port = 1; port <= 5; port++) {
    add(port);
    const expected = [5, 4, 3, 2, 1].filter((one) => one <= port).slice(0, 3);
    assert.deepEqual(
      ring.latest(100).map(({ wallMs }) => wallMs),
      expected,
    );
  }
  assert.equal(ring.latest(1)[0]?.wallMs, 5);
  const none = new DecisionRing(0);
  assert.deepEqual(none.latest(5), []);
});
