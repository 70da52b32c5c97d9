/** However connections end, each is counted open once and closed once, and nothing of it stays. */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { makePolicy, makeRule } from "../../../support/mesh-builders.ts";
import { LoopbackMesh, type LoopbackPod } from "../../../unit/ztunnel/proxy/loopback-mesh.ts";

const mesh = new LoopbackMesh();
after(() => mesh.stop());

/** What a client does with its connection; the port says what the application does. */
const clientActs = ["end", "reset", "destroy-at-once", "write-then-reset", "linger"] as const;
const ports = { echo: 9001, reset: 9002, silent: 9003, greetAndEnd: 9004, nobody: 9005 } as const;
type Port = keyof typeof ports;

interface Attempt {
  readonly client: (typeof clientActs)[number];
  readonly port: Port;
  readonly plaintext: boolean;
  readonly bytes: number;
}

const attempt: fc.Arbitrary<Attempt> = fc.record({
  client: fc.constantFrom(...clientActs),
  port: fc.constantFrom(...(Object.keys(ports) as Port[])),
  plaintext: fc.boolean(),
  bytes: fc.constantFrom(0, 1, 5000, 300_000),
});

const web = await mesh.addPod("web");
const orders = await mesh.addPod("orders");
await mesh.serve(orders.ip, ports.echo, (socket) => socket.pipe(socket));
await mesh.serve(orders.ip, ports.reset, (socket) => {
  socket.once("data", () => socket.resetAndDestroy());
  socket.once("end", () => socket.end());
});
await mesh.serve(orders.ip, ports.silent, (socket) => {
  socket.resume();
  socket.once("end", () => socket.end());
});
await mesh.serve(orders.ip, ports.greetAndEnd, (socket) => {
  socket.resume();
  socket.end("hello");
});

async function play({ client, port, plaintext, bytes }: Attempt): Promise<void> {
  const destination = { ip: orders.ip, port: ports[port] };
  const socket: Socket = plaintext
    ? await mesh.plaintext(orders, destination.port, web.ip)
    : await mesh.outbound(web, destination);
  socket.resume();
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.once("end", () => socket.end());
  if (client === "destroy-at-once") {
    socket.destroy();
    return closed;
  }
  socket.write(Buffer.alloc(bytes, "x"));
  if (client === "end") socket.end();
  else if (client === "reset") socket.resetAndDestroy();
  else if (client === "write-then-reset") setTimeout(() => socket.resetAndDestroy(), 5);
  else setTimeout(() => socket.end(), 20);
  await Promise.race([closed, delay(3000)]);
  socket.destroy();
}

async function settled(pod: LoopbackPod): Promise<boolean> {
  for (let i = 0; i < 300; i++) {
    if (pod.proxy.connections.size === 0) return true;
    await delay(10);
  }
  return false;
}

function sum(text: string, metric: string): number {
  let total = 0;
  for (const [, value] of text.matchAll(new RegExp(`^${metric}(?:\\{.*\\})? (\\d+)$`, "gm")))
    total += Number(value);
  return total;
}

async function checkBooks(): Promise<void> {
  assert.ok(await settled(web), "the client's proxy keeps connections");
  assert.ok(await settled(orders), "the server's proxy keeps connections");
  const text = await mesh.metrics.render();
  assert.equal(
    sum(text, "istio_tcp_connections_opened_total"),
    sum(text, "istio_tcp_connections_closed_total"),
  );
  assert.equal(sum(text, 'istio_tcp_sockets_open\\{reporter="source"\\}'), 0);
  const lines = mesh.accessLog().filter((line) => line.includes("connection complete")).length;
  assert.equal(lines, sum(text, "istio_tcp_connections_closed_total"));
}

test("opened equals closed, one log line each, no socket left", { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(attempt, { minLength: 5, maxLength: 25 }), async (attempts) => {
      await Promise.all(attempts.map(play));
      await checkBooks();
    }),
    { numRuns: 60, interruptAfterTimeLimit: 20_000 },
  );
});

test("the same while policy comes and goes", { timeout: 60_000 }, async () => {
  const deny = makePolicy("deny", {
    action: "Deny",
    rules: [makeRule({ destinationPorts: [9001, 9003] })],
  });
  await fc.assert(
    fc.asyncProperty(fc.array(attempt, { minLength: 5, maxLength: 25 }), async (attempts) => {
      const played = Promise.all(attempts.map(play));
      mesh.store.apply({ policies: [deny] });
      await delay(5);
      mesh.store.apply({ removedPolicies: ["shop/deny"] });
      await delay(5);
      mesh.store.apply({ policies: [deny] });
      await played;
      mesh.store.apply({ removedPolicies: ["shop/deny"] });
      await checkBooks();
    }),
    { numRuns: 40, interruptAfterTimeLimit: 20_000 },
  );
});
