import "../support/sandbox.ts";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ShopApp } from "../../src/cli/demo/apps/client.ts";
import {
  CLEAR_TEXT_MARK,
  DATABASE_PORT,
  ECHO_PORT,
  HTTP_PORT,
} from "../../src/cli/demo/apps/protocol.ts";
import { reportWire } from "../../src/cli/demo/scenes/wire.ts";
import { serviceIp, shop } from "../../src/cli/demo/shop.ts";
import { LinkCapture } from "../../src/cli/world/capture.ts";
import { startNameServer } from "../../src/cli/world/name-server.ts";
import { linkOf } from "../../src/cli/world/topology.ts";
import { World } from "../../src/cli/world/world.ts";
import { program } from "../support/program.ts";

let world: World;
let link: LinkCapture;
const apps = new Map<string, ShopApp>();

function app(name: string): ShopApp {
  const found = apps.get(name);
  assert.ok(found, `no application ${name}`);
  return found;
}

before(async () => {
  world = await World.create(shop);
  await startNameServer(world.topology);
  link = new LinkCapture(linkOf("node1"));
  for (const pod of world.topology.pods.filter((candidate) => candidate.app !== "ztunnel"))
    apps.set(pod.name, ShopApp.start(world, pod, program));
  await Promise.all([...apps.values()].map(({ ready }) => ready));
});

after(async () => {
  link.close();
  await world.close();
  process.disconnect?.();
});

test("a world is laid out in well under a second", () => {
  assert.ok(world.createdInMs < 1_000, `it took ${world.createdInMs} ms`);
});

test("traffic between the nodes can be read on the link", async () => {
  const mark = link.mark();
  const { greeting } = await app("web").call("get", {
    host: app("catalog-v2").pod.ip,
    port: HTTP_PORT,
  });
  assert.equal(greeting.clientIp, app("web").pod.ip);
  assert.equal(greeting.mark, CLEAR_TEXT_MARK);
  const wire = reportWire(link.since(mark));
  assert.ok(wire.readable.length >= 2, "request and answer show");
  assert.equal(wire.tlsRecords, 0);
});

test("traffic within a node does not cross the link", async () => {
  const mark = link.mark();
  await app("web").call("get", { host: app("catalog-v1").pod.ip, port: HTTP_PORT });
  assert.equal(reportWire(link.since(mark)).packets, 0);
});

test("a service address reaches all its pods from outside the mesh", async () => {
  const pods = new Set<string>();
  for (let round = 0; round < 40; round++) {
    const target = { host: serviceIp("catalog"), port: 80 };
    pods.add((await app("orders").call("get", target)).greeting.pod);
  }
  assert.deepEqual([...pods].sort(), ["catalog-v1", "catalog-v2"]);
});

test("the name server knows services", async () => {
  const name = "catalog.shop.svc.cluster.local";
  const { addresses } = await app("web").call("resolve", { name });
  assert.deepEqual(addresses, [serviceIp("catalog")]);
  await assert.rejects(app("web").call("resolve", { name: "nobody.shop.svc.cluster.local" }));
});

test("the database greets, answers, and a closed connection is noticed", async () => {
  const orders = app("orders");
  const target = { host: serviceIp("db"), port: DATABASE_PORT };
  const { greeting } = await orders.call("open", { session: "s", ...target });
  assert.match(greeting, new RegExp(`ready for ${orders.pod.ip}$`));
  const { answer } = await orders.call("ask", { session: "s", question: "why" });
  assert.match(answer, /answer to .*why$/);
});

test("a transfer comes back as it was sent", async () => {
  const target = { host: app("db").pod.ip, port: ECHO_PORT };
  const result = await app("web").call("transfer", { ...target, bytes: 3_000_000 });
  assert.equal(result.bytes, 3_000_000);
  assert.equal(result.receivedSha256, result.sentSha256);
});

test("IPv6 works between the nodes from the first packet", async () => {
  const target = { host: app("catalog-v2").pod.ip6, port: HTTP_PORT };
  const { greeting } = await app("web").call("get", target);
  assert.equal(greeting.clientIp, app("web").pod.ip6);
});
