/** Every answer of wire/ztunnel.md section 5.1, given to a client that speaks HBONE by itself. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { connect as tlsConnect } from "node:tls";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { openHboneClient } from "../../../../src/shared/hbone/client.ts";
import { joinFlow } from "../../../../src/shared/hbone/flow.ts";
import {
  defaultHboneSettings,
  type HboneClientSession,
  type HeaderField,
  type TunnelAnswer,
} from "../../../../src/shared/hbone/tunnel.ts";
import { handshakeClient } from "../../../../src/shared/identity/handshake.ts";
import { parseCidr } from "../../../../src/shared/net/cidr.ts";
import { type IpAddress, ipOf } from "../../../../src/shared/net/ip.ts";
import { decisionView } from "../../../../src/ztunnel/proxy/decision-view.ts";
import { makePolicy, makeRule, makeService } from "../../../support/mesh-builders.ts";
import { newWorkload, spiffe } from "../../shared/identity/pki.ts";
import { LoopbackMesh, type LoopbackPod, readAll } from "./loopback-mesh.ts";

const meshes: LoopbackMesh[] = [];
const sessions: HboneClientSession[] = [];
after(() => {
  for (const session of sessions) session.drain();
  for (const mesh of meshes) mesh.stop();
});

async function server(env: Readonly<Record<string, string>> = {}) {
  const mesh = new LoopbackMesh(env);
  meshes.push(mesh);
  const pod = await mesh.addPod("orders", {
    behind: { "shop/orders.shop.svc.cluster.local": { 80: 8080, 81: 0 } },
  });
  await mesh.serve(pod.ip, 8080, (socket) => socket.end("hi"));
  return { mesh, pod };
}

async function session(
  mesh: LoopbackMesh,
  pod: LoopbackPod,
  from: IpAddress = mesh.address(),
  identity = spiffe("shop/web"),
): Promise<HboneClientSession> {
  const socket = await mesh.connect({ ip: pod.ip, port: 15008 }, from);
  const { tls } = await handshakeClient({
    socket,
    certificate: mesh.certificate(identity),
    acceptedIdentities: [spiffe("shop/orders")],
    clock: systemClock,
  });
  const opened = await openHboneClient(tls, defaultHboneSettings("client"), systemClock);
  sessions.push(opened);
  return opened;
}

function ask(
  client: HboneClientSession,
  authority: string,
  headers: readonly HeaderField[] = [],
): Promise<TunnelAnswer> {
  return client.connect({ authority, headers }, new AbortController().signal);
}

async function lineWith(mesh: LoopbackMesh, pattern: RegExp): Promise<string> {
  for (let i = 0; i < 100; i++) {
    const line = mesh.accessLog().find((candidate) => pattern.test(candidate));
    if (line !== undefined) return line;
    await delay(10);
  }
  assert.fail(`no line like ${pattern} in\n${mesh.accessLog().join("\n")}`);
}

test("200 with the baggage of the workload, after the application has answered the connect", async () => {
  const { mesh, pod } = await server();
  const answer = await ask(await session(mesh, pod), `${pod.ip}:8080`);
  assert.equal(answer.kind, "open");
  assert.deepEqual(answer.headers, [
    [
      "baggage",
      "k8s.cluster.name=Kubernetes,k8s.namespace.name=shop,k8s.pod.name=orders,service.name=orders,service.version=latest",
    ],
  ]);
});

test("no baggage where it is switched off", async () => {
  const { mesh, pod } = await server({ ENABLE_RESPONSE_BAGGAGE: "false" });
  const answer = await ask(await session(mesh, pod), `${pod.ip}:8080`);
  assert.equal(answer.kind, "open");
  assert.deepEqual(answer.headers, []);
});

type Case = readonly [
  name: string,
  authority: (ip: string) => string,
  status: number,
  text: RegExp,
];

const refusals: readonly Case[] = [
  [
    "an address that is not ours",
    () => "10.9.9.9:80",
    400,
    /ip mismatch: 127\.\S+ != 10\.9\.9\.9"$/,
  ],
  ["no authority form", () => "nonsense", 400, /invalid CONNECT address nonsense"$/],
  ["no port", (ip) => ip, 400, /invalid CONNECT address 127\./],
  ["a port out of range", (ip) => `${ip}:70000`, 400, /invalid CONNECT address/],
  [
    "an unknown host",
    () => "nobody.example:80",
    503,
    /no service or workload for hostname: nobody\.example"$/,
  ],
  [
    "a port that the service does not lead to us",
    () => "orders.shop.svc.cluster.local:99",
    503,
    /requested service orders\.shop\.svc\.cluster\.local:99 found, but cannot resolve port"$/,
  ],
  ["our outbound port", (ip) => `${ip}:15001`, 503, /attempted recursive call to ourselves"$/],
  ["our plaintext port", (ip) => `${ip}:15006`, 503, /attempted recursive call to ourselves"$/],
  ["our HBONE port", (ip) => `${ip}:15008`, 503, /attempted recursive call to ourselves"$/],
];

for (const [name, authority, status, text] of refusals) {
  test(`${status}: ${name}`, async () => {
    const { mesh, pod } = await server();
    mesh.store.apply({
      addresses: [
        { kind: "service", service: makeService("orders", { ports: { 80: 8080, 81: 0 } }) },
      ],
    });
    const answer = await ask(await session(mesh, pod), authority(pod.ip));
    assert.deepEqual(
      [answer.kind, answer.kind === "refused" && answer.status],
      ["refused", status],
    );
    assert.deepEqual(answer.headers, []);
    assert.match(await lineWith(mesh, /connection failed/), text);
    assert.ok(
      !(await mesh.metrics.render()).includes("istio_tcp_connections"),
      "no traffic metrics",
    );
    assert.match(
      await mesh.metrics.render(),
      /^ambit_connections_refused_total\{reporter="destination",reason="[a-z-]+"\} 1$/m,
    );
    const [record] = mesh.decisions.latest(1);
    assert.ok(record);
    assert.equal(decisionView(record)["outcome"], "refused");
  });
}

test("a host name of ours, numeric and named target port", async () => {
  const { mesh, pod } = await server();
  mesh.store.apply({
    addresses: [{ kind: "service", service: makeService("orders", { ports: { 80: 8080 } }) }],
  });
  const answer = await ask(await session(mesh, pod), "orders.shop.svc.cluster.local:80");
  assert.equal(answer.kind, "open");
});

test("503 while the pod's own workload is unknown", async () => {
  const { mesh, pod } = await server();
  const client = await session(mesh, pod);
  mesh.store.apply({ removedAddresses: [pod.workload.uid] });
  const answer = await ask(client, `${pod.ip}:8080`);
  assert.equal(answer.kind === "refused" && answer.status, 503);
});

test("401 and DENY when policy says no", async () => {
  const { mesh, pod } = await server();
  mesh.store.apply({
    policies: [
      makePolicy("p", {
        action: "Deny",
        rules: [makeRule({ serviceAccounts: [{ namespace: "shop", serviceAccount: "web" }] })],
      }),
    ],
  });
  const denied = await ask(await session(mesh, pod), `${pod.ip}:8080`);
  assert.equal(denied.kind === "refused" && denied.status, 401);
  const other = await session(mesh, pod, mesh.address(), spiffe("shop/other"));
  assert.equal((await ask(other, `${pod.ip}:8080`)).kind, "open");
  assert.match(
    await mesh.metrics.render(),
    /^istio_tcp_connections_failed_total\{reporter="destination".*response_flags="DENY".*\} 1$/m,
  );
});

test("the address in policy is the TCP peer's, whatever the headers claim", async () => {
  const { mesh, pod } = await server();
  const honest = mesh.address();
  const prefix = parseCidr(honest);
  assert.ok(prefix);
  mesh.store.apply({
    policies: [
      makePolicy("from-honest", {
        rules: [makeRule({ sourceIps: [prefix] })],
      }),
    ],
  });
  const liar = await session(mesh, pod, mesh.address());
  const headers: readonly HeaderField[] = [["forwarded", `for="${honest}:1"`]];
  const answer = await ask(liar, `${pod.ip}:8080`, headers);
  assert.equal(answer.kind === "refused" && answer.status, 401);
  assert.equal((await ask(await session(mesh, pod, honest), `${pod.ip}:8080`)).kind, "open");
});

test("503 and CONNECT when the application is not there", async () => {
  const { mesh, pod } = await server();
  const answer = await ask(await session(mesh, pod), `${pod.ip}:9`);
  assert.equal(answer.kind === "refused" && answer.status, 503);
  await lineWith(mesh, /connection complete.*error="connect \S+:9: connection refused"/);
  assert.match(
    await mesh.metrics.render(),
    /^istio_tcp_connections_closed_total\{reporter="destination".*response_flags="CONNECT".*\} 1$/m,
  );
});

test("labels of a client from elsewhere come from what it says", async () => {
  const { mesh, pod } = await server();
  const headers: readonly HeaderField[] = [
    ["baggage", "k8s.namespace.name=far,k8s.deployment.name=cart,service.name=cart-svc"],
    ["x-forwarded-network", "other"],
  ];
  const answer = await ask(await session(mesh, pod), `${pod.ip}:8080`, headers);
  assert.ok(answer.kind === "open");
  answer.stream.reset(8);
  const line = await lineWith(mesh, /connection complete/);
  assert.match(
    line,
    /src\.workload="cart-svc" src\.namespace="far" src\.identity="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web"/,
  );
});

test("PROXY protocol towards an application tunnel, over loopback", async () => {
  const { mesh, pod } = await server();
  let head: Buffer | undefined;
  const port = await mesh.serve(ipOf("127.0.0.1"), 0, (socket) => {
    socket.once("data", (chunk: Buffer) => {
      head = chunk;
      socket.end();
    });
  });
  mesh.store.apply({
    addresses: [
      {
        kind: "workload",
        workload: { ...pod.workload, applicationTunnel: { protocol: "PROXY", port } },
      },
    ],
  });
  const answer = await ask(await session(mesh, pod), "10.1.2.3:80");
  assert.equal(answer.kind, "open");
  for (let i = 0; i < 100 && head === undefined; i++) await delay(10);
  assert.equal(head?.toString("hex", 0, 12), "0d0a0d0a000d0a515549540a");
  assert.ok(head?.includes(spiffe("shop/web")));
});

test("peers of another trust domain and peers without a certificate do not get in", async () => {
  const { mesh, pod } = await server();
  const from = mesh.address();
  const foreign = newWorkload(mesh.issuer, { uris: [spiffe("shop/web", "elsewhere.example")] });
  const socket = await mesh.connect({ ip: pod.ip, port: 15008 }, from);
  const handshake = handshakeClient({
    socket,
    certificate: foreign,
    acceptedIdentities: [spiffe("shop/orders")],
    clock: systemClock,
  }).then(({ tls }) => openHboneClient(tls, defaultHboneSettings("client"), systemClock));
  await assert.rejects(handshake);
  const nameless = tlsConnect({
    socket: await mesh.connect({ ip: pod.ip, port: 15008 }, from),
    rejectUnauthorized: false,
    ALPNProtocols: ["h2"],
  });
  nameless.resume();
  const [alert] = await once(nameless, "error");
  assert.match(String(alert), /certificate required/);
  const plain = await mesh.connect({ ip: pod.ip, port: 15008 }, from);
  plain.write("GET / HTTP/1.1\r\n\r\n");
  await readAll(plain);
  await lineWith(mesh, /connection failed/);
  assert.equal(mesh.accessLog().length, 3);
  for (const line of mesh.accessLog())
    assert.match(
      line,
      /^warn\taccess\tconnection failed\tsrc\.addr=\S+ dst\.addr=\S+:15008 direction="inbound" error="tls error: /,
    );
  assert.match(
    await mesh.metrics.render(),
    /^istio_tcp_sockets_open\{reporter="destination"\} 0$/m,
  );
  assert.match(
    await mesh.metrics.render(),
    /^ambit_connections_refused_total\{reporter="destination",reason="tls-failed"\} 3$/m,
  );
});

test("a client that breaks the protocol loses its own connection and nothing else", async () => {
  const { mesh, pod } = await server();
  await mesh.serve(pod.ip, 8081, (socket) => socket.pipe(socket));
  const neighbor = await ask(await session(mesh, pod), `${pod.ip}:8081`);
  assert.ok(neighbor.kind === "open");
  const relay = mesh.address();
  await mesh.serve(relay, 9999, (socket) => void joinFlow(socket, neighbor.stream));
  const open = await mesh.connect({ ip: relay, port: 9999 }, relay);
  const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "latin1");
  const ping = Buffer.from("0000080600000000000000000000000000", "hex");
  for (const abuse of [
    Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    Buffer.concat([preface, Buffer.from("000001000000000000ff", "hex")]),
    Buffer.concat([preface, ...Array.from({ length: 5_000 }, () => ping)]),
  ]) {
    const { tls } = await handshakeClient({
      socket: await mesh.connect({ ip: pod.ip, port: 15008 }, mesh.address()),
      certificate: mesh.certificate(spiffe("shop/web")),
      acceptedIdentities: [spiffe("shop/orders")],
      clock: systemClock,
    });
    // A reset instead of the GOAWAY is an end, too.
    tls.on("error", () => undefined);
    tls.on("end", () => tls.end());
    tls.resume();
    tls.write(abuse);
    await once(tls, "close");
    open.write("still there");
    assert.equal(String((await once(open, "data"))[0]), "still there");
  }
  assert.equal((await ask(await session(mesh, pod), `${pod.ip}:8080`)).kind, "open");
  open.end();
});

test("a tunnel joins with a socket like any flow", async () => {
  const { mesh, pod } = await server();
  await mesh.serve(pod.ip, 8081, (socket) => socket.pipe(socket));
  const answer = await ask(await session(mesh, pod), `${pod.ip}:8081`);
  assert.ok(answer.kind === "open");
  const relay = mesh.address();
  const joined = new Promise<void>((resolve) => {
    void mesh.serve(relay, 9999, (socket) => {
      void joinFlow(socket, answer.stream).done.then(() => resolve());
    });
  });
  const socket = await mesh.connect({ ip: relay, port: 9999 }, relay);
  let echoed = "";
  socket.on("data", (chunk) => {
    echoed += chunk.toString();
  });
  socket.end("round trip");
  await once(socket, "end");
  await joined;
  assert.equal(echoed, "round trip");
});
