/** Who reaches whom, and how: every pairing of pods inside and outside the mesh, on one node and across. */
import "../support/sandbox.ts";
import assert from "node:assert/strict";
import { createServer, type Server } from "node:net";
import { after, before, test } from "node:test";
import { HTTP_PORT } from "../../src/cli/demo/apps/protocol.ts";
import { reportWire } from "../../src/cli/demo/scenes/wire.ts";
import { serviceIp } from "../../src/cli/demo/shop.ts";
import type { Stage } from "../../src/cli/demo/stage.ts";
import { ROOT_IP } from "../../src/cli/world/topology.ts";
import { probe } from "../support/probe.ts";
import { answers, closeStage, http, metric, openStage, untilAnswers } from "../support/stage.ts";

const REQUEST = "GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n";
let stage: Stage;
let outside: Server | undefined;

before(async () => {
  stage = await openStage();
  await untilAnswers(stage, "web", http(stage, "catalog-v2"), true);
  const server = createServer((socket) => socket.end("outside\n"));
  outside = server;
  await new Promise<void>((resolve) => server.listen(7777, ROOT_IP, resolve));
});

after(async () => {
  outside?.close();
  await closeStage(stage);
});

const pairings = [
  ["web", "catalog-v1", "mutual_tls"],
  ["web", "catalog-v2", "mutual_tls"],
  ["db", "orders", "mutual_tls"],
  ["web", "legacy", "unknown"],
  ["db", "legacy", "unknown"],
] as const;

for (const [client, server, policy] of pairings)
  test(`${client} to ${server}: the address is kept, and the source counts it as ${policy}`, async () => {
    const node = stage.pod(client).node;
    const name = "istio_tcp_connections_opened_total";
    const count = (): Promise<number> =>
      metric(stage, node, name, `connection_security_policy="${policy}"`);
    const before = await count();
    const { greeting } = await stage.app(client).call("get", http(stage, server));
    assert.equal(greeting.pod, server);
    assert.equal(greeting.clientIp, stage.pod(client).ip);
    assert.ok((await count()) > before, `${name} did not grow`);
  });

for (const server of ["catalog-v1", "catalog-v2"])
  test(`legacy to ${server}: plaintext in, and the destination counts it as unknown`, async () => {
    const { node } = stage.pod(server);
    const count = (): Promise<number> =>
      metric(stage, node, "istio_tcp_connections_opened_total", 'source_principal="unknown"');
    const before = await count();
    const { greeting } = await stage.app("legacy").call("get", http(stage, server));
    assert.equal(greeting.clientIp, stage.pod("legacy").ip);
    assert.ok((await count()) > before);
  });

test("a pod reaches itself, by its own address and by loopback", async () => {
  const mark = stage.link.mark();
  const own = await stage.app("web").call("get", http(stage, "web"));
  assert.equal(own.greeting.pod, "web");
  const loopback = await stage.app("web").call("get", { host: "127.0.0.1", port: HTTP_PORT });
  assert.equal(loopback.greeting.pod, "web");
  assert.equal(reportWire(stage.link.since(mark)).packets, 0);
});

test("a destination that nobody knows is passed through", async () => {
  const { data } = await probe(stage.world, "web", ROOT_IP, 7777, "");
  assert.equal(data, "outside\n");
});

test("a service port that does not exist fails instead of leaking out", async () => {
  const result = await probe(stage.world, "web", serviceIp("catalog"), 81, REQUEST);
  assert.notEqual(result.outcome, "silent");
  assert.equal(result.data, "");
});

test("a port that nobody listens on fails at once, and the tunnel goes on", async () => {
  const result = await probe(stage.world, "web", stage.pod("catalog-v2").ip, 1, REQUEST);
  assert.notEqual(result.outcome, "silent");
  assert.equal(result.data, "");
  assert.ok(await answers(stage, "web", http(stage, "catalog-v2")));
});

/** Section 11 of the reference's behaviors, item 10: ports of the proxy as seen through a pod. */
for (const client of ["web", "legacy"])
  for (const port of [15001, 15006, 15008, 15000, 15020, 15021, 15053])
    test(`${client} calls port ${port} of a captured pod: no answer, no loop`, async () => {
      for (const host of [stage.pod("catalog-v2").ip, stage.pod("catalog-v1").ip]) {
        const result = await probe(stage.world, client, host, port, REQUEST);
        assert.equal(result.data.includes("HTTP/1.1 200"), false, result.data);
        if (port !== 15008) assert.notEqual(result.outcome, "silent");
      }
    });

for (const port of [15001, 15006])
  test(`a captured pod that calls port ${port} of its own is refused, not looped`, async () => {
    for (const host of ["127.0.0.1", stage.pod("web").ip]) {
      const result = await probe(stage.world, "web", host, port, REQUEST);
      assert.equal(result.data, "");
      assert.notEqual(result.outcome, "silent");
    }
    assert.ok(await answers(stage, "web", http(stage, "catalog-v2")));
  });

test("metrics and readiness of the ztunnel itself are reachable at its own address", async () => {
  const { ip } = stage.mesh.ztunnel("node1").pod;
  const ready = await probe(
    stage.world,
    "legacy",
    ip,
    15021,
    REQUEST.replace("GET /", "GET /healthz/ready"),
  );
  assert.match(ready.data, /^HTTP\/1\.1 200/);
  const metrics = await probe(
    stage.world,
    "legacy",
    ip,
    15020,
    REQUEST.replace("GET /", "GET /metrics"),
  );
  assert.match(metrics.data, /^HTTP\/1\.1 200/);
  const admin = await probe(stage.world, "legacy", ip, 15000, REQUEST);
  assert.equal(admin.outcome, "refused");
});
