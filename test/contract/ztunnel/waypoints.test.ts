/**
 * Waypoints behind a ztunnel of their own ("sandwich"): with PROXY protocol and plain, addressed by name and by address, of
 * services and of workloads; and whom a proxy takes CONNECTs for (wire/ztunnel.md section 5.2).
 */
import "../../support/sandbox.ts";
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { after, before, test } from "node:test";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { openHboneClient } from "../../../src/shared/hbone/client.ts";
import { defaultHboneSettings } from "../../../src/shared/hbone/tunnel.ts";
import { handshakeClient } from "../../../src/shared/identity/handshake.ts";
import { ipOf } from "../../../src/shared/net/ip.ts";
import { neverAborts } from "../../support/hbone.ts";
import type { TestPod } from "../../support/pods.ts";
import { spiffe } from "../../unit/shared/identity/pki.ts";
import { eventually } from "../envoy/endpoints.ts";
import { DedicatedStage, type DedicatedZtunnel } from "./stage.ts";

const stage = new DedicatedStage();
/** A pod's number is the last part of its address, less ten. */
const numbers = { web: 1, api: 2, db: 3, proxied: 4, plain: 5 } as const;
type Name = keyof typeof numbers;
const names = Object.keys(numbers) as Name[];
const pods = new Map<Name, TestPod>();
const ztunnels = new Map<Name, DedicatedZtunnel>();
let stranger: TestPod;
const pod = (name: Name): TestPod => pods.get(name) ?? assert.fail(name);
const at = (name: Name): DedicatedZtunnel => ztunnels.get(name) ?? assert.fail(name);
const ipOfPod = (name: Name): string => `10.1.0.${10 + numbers[name]}`;

const PROXIED_PORT = 15_088;
const PLAIN_PORT = 9_000;
const hostOf = (name: string): string => `${name}.shop.svc.cluster.local`;
const by = {
  name: (name: string) => ({ destination: `shop/${hostOf(name)}`, hboneMtlsPort: 15008 }),
  address: (ip: string) => ({ destination: `/${ip}`, hboneMtlsPort: 15008 }),
};

const service = (name: string, vip: string, more: object = {}) => ({
  name,
  namespace: "shop",
  hostname: hostOf(name),
  vips: [`/${vip}`],
  ports: { 80: 8080 },
  ...more,
});

const workload = (name: Name, more: object = {}) => ({
  uid: `Kubernetes//Pod/shop/${name}-1`,
  name: `${name}-1`,
  namespace: "shop",
  serviceAccount: name,
  workloadName: name,
  workloadIps: [ipOfPod(name)],
  protocol: "HBONE",
  node: "node1",
  ...more,
});

const viaName = "10.96.0.1";
const viaAddress = "10.96.0.2";
const viaPlain = "10.96.0.3";
const lost = "10.96.0.4";
const lostPort = "10.96.0.5";

const state = {
  services: [
    service("via-name", viaName, { waypoint: by.name("proxied") }),
    service("via-address", viaAddress, { waypoint: by.address("10.96.0.30") }),
    service("via-plain", viaPlain, { waypoint: by.name("plain") }),
    service("lost", lost, { waypoint: by.name("nobody") }),
    // Its endpoint has no application tunnel: the port must be there.
    service("lost-port", lostPort, { waypoint: by.name("portless") }),
    service("portless", "10.96.0.32", { ports: {} }),
    service("proxied", "10.96.0.30", { ports: { 15008: 15008 } }),
    // Without ports: an application tunnel needs none.
    service("plain", "10.96.0.31", { ports: {} }),
    service("gate", "10.96.0.33", { ports: { 15008: 15008 } }),
  ],
  workloads: [
    workload("web", {
      services: {
        [`shop/${hostOf("gate")}`]: { 15008: 15008 },
        [`shop/${hostOf("portless")}`]: {},
      },
    }),
    workload("api", {
      waypoint: by.name("proxied"),
      services: Object.fromEntries(
        ["via-name", "via-address", "via-plain", "lost", "lost-port"].map((name) => [
          `shop/${hostOf(name)}`,
          { 80: 8080 },
        ]),
      ),
    }),
    workload("db", { waypoint: by.address(ipOfPod("plain")) }),
    workload("proxied", {
      applicationTunnel: { protocol: "PROXY", port: PROXIED_PORT },
      services: { [`shop/${hostOf("proxied")}`]: { 15008: 15008 } },
    }),
    workload("plain", {
      applicationTunnel: { protocol: "NONE", port: PLAIN_PORT },
      services: { [`shop/${hostOf("plain")}`]: {} },
    }),
    // Behind `web` as a waypoint without a tunnel, by the name of a service, by address, and behind nobody.
    ...["gate", ipOfPod("web"), undefined].map((waypoint, index) => ({
      uid: `Kubernetes//Pod/shop/behind-${index}`,
      name: `behind-${index}`,
      namespace: "shop",
      workloadIps: [`10.1.0.${90 + index}`],
      protocol: "HBONE",
      ...(waypoint !== undefined && {
        waypoint: waypoint === "gate" ? by.name("gate") : by.address(waypoint),
      }),
    })),
  ],
};

interface ProxyHeader {
  readonly source: string;
  readonly destination: { readonly ip: string; readonly port: number };
  readonly identity: string;
  readonly rest: Buffer;
}

/** PROXY protocol v2 over IPv4, read by its specification; undefined until it is whole. */
function readProxyHeader(bytes: Buffer): ProxyHeader | undefined {
  if (bytes.length < 16) return undefined;
  assert.equal(bytes.subarray(0, 14).toString("hex"), "0d0a0d0a000d0a515549540a2111");
  const end = 16 + bytes.readUInt16BE(14);
  if (bytes.length < end) return undefined;
  const ip = (offset: number): string => [...bytes.subarray(offset, offset + 4)].join(".");
  let identity = "";
  for (let tlv = 28; tlv < end; tlv += 3 + bytes.readUInt16BE(tlv + 1))
    if (bytes[tlv] === 0xd0)
      identity = bytes.subarray(tlv + 3, tlv + 3 + bytes.readUInt16BE(tlv + 1)).toString();
  return {
    source: `${ip(16)}:${bytes.readUInt16BE(24)}`,
    destination: { ip: ip(20), port: bytes.readUInt16BE(26) },
    identity,
    rest: bytes.subarray(end),
  };
}

const headers: ProxyHeader[] = [];
/** Whom the plain waypoint's application saw as its client. */
const plainClients: (string | undefined)[] = [];

/** What a waypoint does when it has read its request: connects to an endpoint from its own pod, and is captured there. */
async function forward(from: Name, client: Socket, to: Name, first: Buffer): Promise<void> {
  const upstream = await stage.dial(pod(from), ipOfPod(to), 8080);
  upstream.write(first);
  client.pipe(upstream);
  upstream.pipe(client);
  client.resume();
  upstream.resume();
}

function serveProxied(): Promise<void> {
  // Only on loopback: nobody but the ztunnel beside it gets there.
  const ip = ipOf("127.0.0.1");
  return stage.serve(
    pod("proxied"),
    PROXIED_PORT,
    (socket) => {
      let bytes = Buffer.alloc(0);
      const take = (chunk: Buffer): void => {
        bytes = Buffer.concat([bytes, chunk]);
        const header = readProxyHeader(bytes);
        if (header === undefined) return;
        socket.off("data", take).pause();
        headers.push(header);
        void forward("proxied", socket, "api", header.rest);
      };
      socket.on("data", take);
    },
    ip,
  );
}

function servePlain(): Promise<void> {
  return stage.serve(pod("plain"), PLAIN_PORT, (socket) => {
    plainClients.push(pod("plain").network.peerAddress(socket)?.ip);
    socket.once("data", (chunk: Buffer) => {
      socket.pause();
      void forward("plain", socket, "db", chunk);
    });
  });
}

before(async () => {
  await stage.open();
  for (const name of names) pods.set(name, await stage.pod(numbers[name]));
  stranger = stage.bystander(9);
  await Promise.all([stage.echo(pod("api"), 8080), stage.echo(pod("db"), 8080)]);
  await stage.echo(pod("web"), 7070);
  await serveProxied();
  await servePlain();
  await Promise.all(
    names.map(async (name) => {
      const env = stage.staticState(name, state);
      ztunnels.set(name, await stage.ztunnel(pod(name), `shop/${name}-1/${name}`, env));
    }),
  );
});
after(() => stage.close());

/** The server's side of the last hop: who the client was, as policy there would see it. */
async function lastHop(name: Name, client: Name): Promise<void> {
  const from = new RegExp(`src\\.identity="${spiffe(`shop/${client}`)}"`);
  await eventually(`${client} at ${name}`, () =>
    from.test(at(name).access("inbound").at(-1) ?? ""),
  );
}

for (const [what, destination, port] of [
  ["a service, its waypoint given by name", viaName, 80],
  ["a service, its waypoint given by address", viaAddress, 80],
  ["a workload, its waypoint given by name", ipOfPod("api"), 8080],
] as const)
  test(`PROXY: ${what}`, { timeout: 30_000 }, async () => {
    headers.length = 0;
    const answer = await stage.ask(pod("web"), destination, port, "hello");
    assert.equal(answer, `${ipOfPod("proxied")}\nhello`);
    const [header = assert.fail("no header"), ...more] = headers;
    assert.deepEqual(more, []);
    assert.match(header.source, /^10\.1\.0\.11:\d+$/);
    // What the client asked for, and who it is.
    assert.deepEqual(header.destination, { ip: destination, port });
    assert.equal(header.identity, spiffe("shop/web"));
    await eventually("the line", () =>
      new RegExp(
        `dst\\.addr=${ipOfPod("proxied")}:15008 dst\\.hbone_addr=${destination}:${port} .*dst\\.workload="proxied-1"`,
      ).test(at("web").access("outbound").at(-1) ?? ""),
    );
    // The waypoint itself goes on directly, although the workload has a waypoint: it is that one.
    await lastHop("api", "proxied");
    assert.match(
      at("proxied").access("outbound").at(-1) ?? "",
      new RegExp(`dst\\.addr=${ipOfPod("api")}:15008 dst\\.hbone_addr=${ipOfPod("api")}:8080`),
    );
  });

for (const [what, destination, port] of [
  ["a service, its waypoint a service without ports", viaPlain, 80],
  ["a workload, its waypoint given by its pod's address", ipOfPod("db"), 8080],
] as const)
  test(`plain: ${what}`, { timeout: 30_000 }, async () => {
    plainClients.length = 0;
    const answer = await stage.ask(pod("web"), destination, port, "hello");
    assert.equal(answer, `${ipOfPod("plain")}\nhello`);
    assert.deepEqual(plainClients, [ipOfPod("web")]);
    await lastHop("db", "plain");
  });

for (const [what, vip] of [
  ["nobody has that name", lost],
  ["the service has not the port, and its endpoint no application tunnel", lostPort],
] as const)
  test(`a waypoint that cannot be had is never bypassed: ${what}`, async () => {
    const before = at("api").access("inbound").length;
    assert.equal(await stage.ask(pod("web"), vip, 80, "x"), "");
    await eventually("the line", () =>
      at("web").lines.some(
        (line) => line.includes(`dst.addr=${vip}:80`) && line.includes("unknown waypoint: "),
      ),
    );
    assert.equal(at("api").access("inbound").length, before);
  });

/** The status with which a pod's proxy answers a CONNECT for this authority. */
async function statusFor(name: Name, authority: string): Promise<number> {
  const { tls } = await handshakeClient({
    socket: await stage.dial(stranger, ipOfPod(name), 15008),
    certificate: stage.certificate(spiffe("shop/stranger")),
    acceptedIdentities: [spiffe(`shop/${name}`)],
    clock: systemClock,
  });
  const session = await openHboneClient(tls, defaultHboneSettings("client"), systemClock);
  const answer = await session.connect({ authority, headers: [] }, neverAborts);
  tls.destroy();
  return answer.kind === "open" ? 200 : answer.status;
}

for (const [name, authority, status, why] of [
  ["web", `${ipOfPod("web")}:7070`, 200, "its own address"],
  ["web", "10.1.0.90:7070", 200, "it is an endpoint of that workload's waypoint"],
  ["web", "10.1.0.91:7070", 200, "its address is that workload's waypoint"],
  ["web", "10.1.0.92:7070", 400, "a workload without a waypoint"],
  ["web", "10.1.0.93:7070", 400, "nobody"],
  ["web", `${ipOfPod("api")}:7070`, 400, "a workload behind another waypoint"],
  ["web", `${viaName}:7070`, 400, "a service behind another waypoint"],
  ["web", `${ipOfPod("web")}:7071`, 503, "nobody listens there"],
  ["web", `${ipOfPod("web")}:15008`, 503, "the proxy itself"],
  ["plain", "10.1.0.93:7070", 200, "a pod with an application tunnel takes any address"],
] as const)
  test(`CONNECT ${authority} at ${name}: ${status}, ${why}`, { timeout: 20_000 }, async () => {
    assert.equal(await statusFor(name, authority), status);
    if (status === 400)
      await eventually("the line", () =>
        at(name).lines.some((line) =>
          line.includes(`ip mismatch: ${ipOfPod(name)} != ${authority.split(":")[0]}`),
        ),
      );
  });
