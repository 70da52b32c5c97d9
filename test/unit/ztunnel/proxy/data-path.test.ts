import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { decisionView } from "../../../../src/ztunnel/proxy/decision-view.ts";
import { startPodProxy } from "../../../../src/ztunnel/proxy/pod-proxy.ts";
import { makePolicy, makeRule, makeService } from "../../../support/mesh-builders.ts";
import { newWorkload, spiffe } from "../../shared/identity/pki.ts";
import { LoopbackMesh, readAll } from "./loopback-mesh.ts";

const open: LoopbackMesh[] = [];
function newMesh(env: Readonly<Record<string, string>> = {}): LoopbackMesh {
  const mesh = new LoopbackMesh(env);
  open.push(mesh);
  return mesh;
}
after(() => {
  for (const mesh of open) mesh.stop();
});

async function eventually(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await check()) return;
    await delay(10);
  }
  assert.fail(what);
}

const greet = (socket: Socket): void => {
  void readAll(socket).then((text) => socket.end(`you said ${text}`));
};

async function shop(env: Readonly<Record<string, string>> = {}) {
  const mesh = newMesh(env);
  const web = await mesh.addPod("web");
  const orders = await mesh.addPod("orders");
  await mesh.serve(orders.ip, 8080, greet);
  return { mesh, web, orders };
}

async function ask(socket: Socket, text: string): Promise<string> {
  const answer = readAll(socket);
  socket.end(text);
  return await answer;
}

test("pod to pod: through the tunnel, identities on both sides, bytes counted", async () => {
  const { mesh, web, orders } = await shop();
  const socket = await mesh.outbound(web, { ip: orders.ip, port: 8080 });
  assert.equal(await ask(socket, "hello there"), "you said hello there");
  await eventually("two lines", () => mesh.accessLog().length === 2);
  const [outbound = "", inbound = ""] = mesh
    .accessLog()
    .toSorted((a, b) => (a.includes("outbound") ? -1 : b.includes("outbound") ? 1 : 0));
  assert.match(
    outbound,
    new RegExp(
      `^info\taccess\tconnection complete\tsrc\\.addr=${web.ip}:\\d+ src\\.workload="web" src\\.namespace="shop" src\\.identity="spiffe://cluster\\.local/ns/shop/sa/web" src\\.cluster="Kubernetes" dst\\.addr=${orders.ip}:15008 dst\\.hbone_addr=${orders.ip}:8080 dst\\.workload="orders" dst\\.namespace="shop" dst\\.identity="spiffe://cluster\\.local/ns/shop/sa/orders" dst\\.cluster="Kubernetes" direction="outbound" bytes_sent=11 bytes_recv=20 duration="\\d+ms"$`,
    ),
  );
  assert.match(inbound, /src\.identity="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web"/);
  assert.match(
    inbound,
    new RegExp(`dst\\.addr=${orders.ip}:15008 dst\\.hbone_addr=${orders.ip}:8080`),
  );
  assert.match(inbound, /direction="inbound" bytes_sent=20 bytes_recv=11 /);
  const dial = orders.network.dials.at(-1);
  assert.equal(dial?.sourceIp, web.ip, "the client's address is kept");
  assert.equal(dial?.mark, 1337);
  const text = await mesh.metrics.render();
  assert.match(
    text,
    /^istio_tcp_connections_opened_total\{reporter="source",source_workload="web".*connection_security_policy="mutual_tls".*\} 1$/m,
  );
  assert.match(text, /^istio_tcp_received_bytes_total\{reporter="destination".*\} 11$/m);
  assert.match(text, /^istio_tcp_sent_bytes_total\{reporter="source".*\} 20$/m);
});

test("service address: spread over endpoints, host in the forwarded header", async () => {
  const { mesh, web } = await shop();
  const vip = ipOf("240.240.0.7");
  const service = makeService("catalog", { at: ["/240.240.0.7"], ports: { 80: 9000 } });
  mesh.store.apply({ addresses: [{ kind: "service", service }] });
  for (const name of ["catalog-a", "catalog-b"]) {
    const pod = await mesh.addPod(name, {
      behind: { "shop/catalog.shop.svc.cluster.local": { 80: 9000 } },
    });
    await mesh.serve(pod.ip, 9000, (socket) => socket.end(name));
  }
  const seen = new Set<string>();
  for (let i = 0; i < 20; i++)
    seen.add(await ask(await mesh.outbound(web, { ip: vip, port: 80 }), ""));
  assert.deepEqual([...seen].toSorted(), ["catalog-a", "catalog-b"]);
  await eventually("reported under the service", () =>
    mesh
      .accessLog()
      .some(
        (line) =>
          line.includes("inbound") && line.includes('dst.service="catalog.shop.svc.cluster.local"'),
      ),
  );
});

test("a service without endpoints, and a port it does not have", async () => {
  const { mesh, web } = await shop();
  const service = makeService("void", { at: ["/240.240.0.8"], ports: { 80: 9000 } });
  mesh.store.apply({ addresses: [{ kind: "service", service }] });
  assert.equal(await readAll(await mesh.outbound(web, { ip: ipOf("240.240.0.8"), port: 80 })), "");
  await eventually("a line", () => mesh.accessLog().length === 1);
  assert.match(
    mesh.accessLog()[0] ?? "",
    /^warn\taccess\tconnection failed\tsrc\.addr=\S+ dst\.addr=240\.240\.0\.8:80 direction="outbound" error="no healthy upstream: .*"$/,
  );
  const [record] = mesh.decisions.latest(5);
  assert.ok(record);
  assert.equal(decisionView(record)["code"], "no-healthy-upstream");
});

test("server-first, half-close and a large transfer arrive whole", async () => {
  const { mesh, web, orders } = await shop();
  const big = Buffer.alloc(3_000_000, "x");
  await mesh.serve(orders.ip, 5432, (socket) => {
    socket.write("220 ready\n");
    let bytes = 0;
    socket.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    socket.once("end", () => socket.end(`got ${bytes}`));
  });
  const socket = await mesh.outbound(web, { ip: orders.ip, port: 5432 });
  const answer = readAll(socket);
  socket.end(big);
  assert.equal(await answer, "220 ready\ngot 3000000");
});

test("unknown destinations pass through in the clear", async () => {
  const { mesh, web } = await shop();
  const outside = mesh.address();
  await mesh.serve(outside, 7000, greet);
  const socket = await mesh.outbound(web, { ip: outside, port: 7000 });
  assert.equal(await ask(socket, "a"), "you said a");
  await eventually("a line", () => mesh.accessLog().length === 1);
  const line = mesh.accessLog()[0] ?? "";
  assert.match(
    line,
    new RegExp(`src\\.workload="web" .*dst\\.addr=${outside}:7000 direction="outbound"`),
  );
  assert.ok(!line.includes("identity"));
});

test("plaintext into a pod: allowed while nothing forbids it, address kept, shut out by STRICT", async () => {
  const { mesh, orders } = await shop();
  const legacy = mesh.address();
  assert.equal(await ask(await mesh.plaintext(orders, 8080, legacy), "x"), "you said x");
  assert.equal(orders.network.dials.at(-1)?.sourceIp, legacy);
  const strict = makePolicy("istio_converted_static_strict", {
    action: "Deny",
    rules: [makeRule({ notPrincipals: [{ kind: "presence" }] })],
  });
  mesh.store.apply({ policies: [strict] });
  assert.equal(await ask(await mesh.plaintext(orders, 8080, legacy), "x"), "");
  await eventually("a denial", () => mesh.accessLog().some((line) => line.startsWith("error")));
  const denial = mesh.accessLog().find((line) => line.startsWith("error")) ?? "";
  assert.match(
    denial,
    /error="connection closed due to policy rejection: explicitly denied by: shop\/istio_converted_static_strict" policy="shop\/istio_converted_static_strict rule 0"$/,
  );
  assert.match(
    await mesh.metrics.render(),
    /^istio_tcp_connections_closed_total\{.*response_flags="DENY".*\} 1$/m,
  );
});

test("policy denies a tunnel with 401, and the client's side says so", async () => {
  const { mesh, web, orders } = await shop();
  mesh.store.apply({
    policies: [
      makePolicy("only-admin", {
        rules: [
          makeRule({ principals: [{ kind: "exact", value: "cluster.local/ns/shop/sa/admin" }] }),
        ],
      }),
    ],
  });
  assert.equal(await ask(await mesh.outbound(web, { ip: orders.ip, port: 8080 }), "x"), "");
  await eventually("both lines", () => mesh.accessLog().length === 2);
  const lines = mesh.accessLog().join("\n");
  assert.match(lines, /direction="outbound" .*error="http status: 401 Unauthorized"/);
  assert.match(
    lines,
    /direction="inbound" .*error="connection closed due to policy rejection: allow policies exist, but none allowed"/,
  );
  const record = mesh.decisions.latest(2).find(({ direction }) => direction === "inbound");
  assert.ok(record);
  const view = decisionView(record);
  assert.equal(view["outcome"], "denied");
  assert.deepEqual(view["source"], {
    address: (view["source"] as { address: string }).address,
    identity: "spiffe://cluster.local/ns/shop/sa/web",
    identityFrom: "client certificate",
  });
  assert.equal((view["policies"] as unknown[]).length, 1);
});

/** An open tunnel from web to orders with an echoing application. */
async function chat() {
  const { mesh, web, orders } = await shop();
  await mesh.serve(orders.ip, 7777, (socket) => socket.pipe(socket));
  const socket = await mesh.outbound(web, { ip: orders.ip, port: 7777 });
  let echoed = "";
  socket.on("data", (chunk) => {
    echoed += chunk.toString();
  });
  let closed = false;
  socket.once("close", () => {
    closed = true;
  });
  socket.once("end", () => socket.end());
  socket.write("ping");
  await eventually("an echo", () => echoed === "ping");
  return { mesh, web, orders, socket, isClosed: () => closed };
}

test("a policy change closes open connections, tunnels and plaintext alike", async () => {
  const { mesh, orders, isClosed } = await chat();
  const legacy = await mesh.plaintext(orders, 7777, mesh.address());
  let legacyClosed = false;
  legacy.once("close", () => {
    legacyClosed = true;
  });
  legacy.resume();
  await eventually("both open", () => [...orders.proxy.connections].every((c) => c.admitted));
  mesh.store.apply({
    policies: [
      makePolicy("unrelated", {
        namespace: "other",
        action: "Deny",
        rules: [makeRule({ destinationPorts: [7777] })],
      }),
    ],
  });
  await delay(50);
  assert.equal(isClosed(), false, "a policy of another namespace changes nothing");
  mesh.store.apply({
    policies: [
      makePolicy("no-chat", { action: "Deny", rules: [makeRule({ destinationPorts: [7777] })] }),
    ],
  });
  await eventually("closed", () => isClosed() && legacyClosed);
  const inbound = mesh.accessLog().filter((line) => line.includes('direction="inbound"'));
  assert.equal(inbound.length, 2);
  for (const line of inbound)
    assert.match(
      line,
      /error="connection closed due to policy change" policy="shop\/no-chat rule 0"$/,
    );
  assert.equal(orders.proxy.connections.size, 0);
  assert.match(
    await mesh.metrics.render(),
    /^istio_tcp_connections_failed_total\{reporter="destination".*response_flags="DENY".*\} 1$/m,
  );
});

test("a policy that begins to apply through the workload's record closes, too", async () => {
  const { mesh, orders, isClosed } = await chat();
  mesh.store.apply({
    policies: [
      makePolicy("selected", {
        scope: "WorkloadSelector",
        action: "Deny",
        rules: [makeRule({ destinationPorts: [7777] })],
      }),
    ],
  });
  await delay(50);
  assert.equal(isClosed(), false, "nobody lists it yet");
  const workload = { ...orders.workload, authorizationPolicies: ["shop/selected"] };
  mesh.store.apply({ addresses: [{ kind: "workload", workload }] });
  await eventually("closed", isClosed);
});

test("drain: new connections are refused, open ones go on until they end", async () => {
  const { web, orders, socket, isClosed } = await chat();
  const drained = orders.proxy.drain(5000);
  let done = false;
  void drained.then(() => {
    done = true;
  });
  await delay(50);
  assert.equal(done, false);
  assert.equal(isClosed(), false);
  socket.write("more");
  socket.end();
  await drained;
  assert.equal(orders.proxy.connections.size, 0);
  await web.proxy.drain(1000);
});

test("drain: cut at the deadline, with the reference's words", async () => {
  const { mesh, orders, isClosed } = await chat();
  const startedMs = performance.now();
  await orders.proxy.drain(200);
  assert.ok(performance.now() - startedMs >= 190);
  await eventually("closed", isClosed);
  assert.ok(
    mesh
      .accessLog()
      .some(
        (line) =>
          line.includes("inbound") &&
          line.includes('error="connection closed due to connection drain"'),
      ),
  );
});

test("stop cuts everything and leaves nothing", async () => {
  const { web, orders, isClosed } = await chat();
  orders.proxy.stop();
  orders.proxy.stop();
  await eventually("closed", isClosed);
  await eventually(
    "nothing left",
    () => orders.proxy.connections.size + web.proxy.connections.size === 0,
  );
});

test("calls to our own ports are refused on both paths", async () => {
  const { mesh, web, orders } = await shop();
  for (const port of [15001, 15006, 15008]) {
    assert.equal(await readAll(await mesh.outbound(web, { ip: ipOf("127.0.0.1"), port })), "");
    assert.equal(await readAll(await mesh.plaintext(orders, port, mesh.address())), "");
  }
  assert.equal(mesh.accessLog().length, 6);
  for (const line of mesh.accessLog())
    assert.match(
      line,
      /^warn\taccess\tconnection failed\t.*error="attempted recursive call to ourselves"$/,
    );
});

test("without a certificate nothing leaves and nothing enters", async () => {
  const { mesh, web, orders } = await shop();
  mesh.withoutCertificate.add("spiffe://cluster.local/ns/shop/sa/web");
  assert.equal(await ask(await mesh.outbound(web, { ip: orders.ip, port: 8080 }), "x"), "");
  await eventually("a line", () => mesh.accessLog().length === 1);
  assert.match(
    await mesh.metrics.render(),
    /^istio_tcp_connections_failed_total\{reporter="source".*response_flags="IDENTITY_ERROR".*\} 1$/m,
  );
});

test("an application that is not there: 503 at the client, CONNECT on both sides", async () => {
  const { mesh, web, orders } = await shop();
  assert.equal(await ask(await mesh.outbound(web, { ip: orders.ip, port: 9 }), "x"), "");
  await eventually("both lines", () => mesh.accessLog().length === 2);
  assert.ok(
    mesh.accessLog().some((line) => line.includes('error="http status: 503 Service Unavailable"')),
  );
});

test("a peer that is not who it should be gets nothing", async () => {
  const { mesh, web, orders } = await shop();
  const imposter = newWorkload(mesh.issuer, { uris: [spiffe("shop/imposter")] });
  mesh.present(spiffe("shop/orders"), imposter);
  assert.equal(await ask(await mesh.outbound(web, { ip: orders.ip, port: 8080 }), "secret"), "");
  await eventually("a line", () => mesh.accessLog().some((line) => line.includes("outbound")));
  const line = mesh.accessLog().find((candidate) => candidate.includes("outbound")) ?? "";
  assert.match(line, /bytes_sent=0 bytes_recv=0 .*error="tls error: .*imposter/);
  assert.match(
    await mesh.metrics.render(),
    /^istio_tcp_connections_failed_total\{reporter="source".*response_flags="TLS_FAILURE".*\} 1$/m,
  );
});

test("many connections at once share few sessions, and nothing is left of them", async () => {
  const { mesh, web, orders } = await shop();
  const answers = await Promise.all(
    Array.from({ length: 150 }, async (_, i) =>
      ask(await mesh.outbound(web, { ip: orders.ip, port: 8080 }), String(i)),
    ),
  );
  assert.deepEqual(
    answers,
    Array.from({ length: 150 }, (_, i) => `you said ${i}`),
  );
  await eventually("nothing left", () => web.proxy.connections.size === 0);
  const sessions = web.network.dials.filter(({ destination }) => destination.port === 15008);
  assert.ok(sessions.length <= 3, `${sessions.length} sessions`);
});

test("a proxy that cannot start completely leaves nothing behind", async () => {
  const { mesh, orders } = await shop();
  orders.proxy.stop();
  const { name, namespace, serviceAccount } = orders.workload;
  const start = startPodProxy(mesh.node, { name, namespace, serviceAccount }, orders.network, {
    kind: "pod",
    companion: () => Promise.reject(new Error("port 15053 is taken")),
  });
  await assert.rejects(start, /port 15053 is taken/);
  for (const port of [15001, 15006, 15008])
    await assert.rejects(mesh.connect({ ip: orders.ip, port }, mesh.address()), /ECONNREFUSED/);
});
