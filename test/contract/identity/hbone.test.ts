/** Handshakes and our HTTP/2 together: a tunnel, a tunnel in a tunnel, and a live tunnel whose peer is revoked. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { after, test } from "node:test";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { MeshError } from "../../../src/shared/base/errors.ts";
import { openHboneClient } from "../../../src/shared/hbone/client.ts";
import { tunnelAsDuplex } from "../../../src/shared/hbone/duplex.ts";
import { serveHbone } from "../../../src/shared/hbone/server.ts";
import {
  defaultHboneSettings,
  type HboneClientSession,
  type IncomingTunnel,
} from "../../../src/shared/hbone/tunnel.ts";
import { secureClient, secureServer } from "../../../src/shared/identity/connection-handshake.ts";
import { handshakeClient, handshakeServer } from "../../../src/shared/identity/handshake.ts";
import type { PeerRevocation } from "../../../src/shared/identity/revocation.ts";
import type { WorkloadCertificate } from "../../../src/shared/identity/workload-certificate.ts";
import { TcpConnection } from "../../../src/shared/os/tcp-connection.ts";
import { type Carrier, carriers, type Link, Links } from "../../unit/shared/identity/carriers.ts";
import { newRoot, newWorkload, spiffe } from "../../unit/shared/identity/pki.ts";

const root = newRoot();
const web = newWorkload(root, { uris: [spiffe("shop/web")] });
const gateway = newWorkload(root, { uris: [spiffe("istio-system/gateway")] });
const catalog = newWorkload(root, { uris: [spiffe("shop/catalog")] });
const signal = new AbortController().signal;
const clock = systemClock;

const links = await Links.open();
after(() => links.close());

async function serve(
  link: Link,
  certificate: WorkloadCertificate,
  onTunnel: (tunnel: IncomingTunnel) => void,
): Promise<void> {
  const shaking = { certificate, trustDomain: "cluster.local", clock };
  const tls =
    link instanceof TcpConnection
      ? (await secureServer({ ...shaking, connection: link })).channel
      : (await handshakeServer({ ...shaking, socket: link })).tls;
  serveHbone(tls, defaultHboneSettings("server"), clock, onTunnel);
}

async function open(
  link: Link,
  certificate: WorkloadCertificate,
  accepted: string,
): Promise<HboneClientSession> {
  const shaking = { certificate, acceptedIdentities: [accepted], clock };
  const tls =
    link instanceof TcpConnection
      ? (await secureClient({ ...shaking, connection: link })).channel
      : (await handshakeClient({ ...shaking, socket: link })).tls;
  return openHboneClient(tls, defaultHboneSettings("client"), clock, signal);
}

async function connect(session: HboneClientSession, authority: string): Promise<Duplex> {
  const answer = await session.connect({ authority, headers: [] }, signal);
  assert.equal(answer.kind, "open");
  return tunnelAsDuplex(answer.stream);
}

const echo = (tunnel: IncomingTunnel): void => {
  const duplex = tunnelAsDuplex(tunnel.accept([]));
  duplex.on("error", () => duplex.destroy());
  duplex.pipe(duplex);
};

async function echoed(duplex: Duplex, bytes: number): Promise<Buffer> {
  duplex.end(Buffer.alloc(bytes, "ambit"));
  const chunks: Buffer[] = [];
  for await (const chunk of duplex) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const size = 3_000_000;

/** One test for each carrier of the outer connection; an inner one is always carried by Node. */
function both(name: string, body: (carrier: Carrier) => Promise<void>): void {
  for (const carrier of carriers) test(`${carrier}: ${name}`, () => body(carrier));
}

both("a tunnel carries bytes both ways and its ends", async (carrier) => {
  const [clientSocket, serverSocket] = await links.pair(carrier, carrier);
  const [session] = await Promise.all([
    open(clientSocket, web, spiffe("shop/catalog")),
    serve(serverSocket, catalog, echo),
  ]);
  const back = await echoed(await connect(session, "10.0.0.1:80"), size);
  assert.ok(back.equals(Buffer.alloc(size, "ambit")));
  session.drain();
  await session.closed;
});

both("a tunnel in a tunnel has its own identity and carries bytes alike", async (carrier) => {
  const [clientSocket, serverSocket] = await links.pair(carrier, carrier);
  const inner = (tunnel: IncomingTunnel): void =>
    void serve(tunnelAsDuplex(tunnel.accept([])), catalog, echo);
  const [outer] = await Promise.all([
    open(clientSocket, web, spiffe("istio-system/gateway")),
    serve(serverSocket, gateway, inner),
  ]);
  const session = await open(await connect(outer, "a.b:80"), web, spiffe("shop/catalog"));
  const back = await echoed(await connect(session, "a.b:80"), size);
  assert.ok(back.equals(Buffer.alloc(size, "ambit")));
  session.drain();
  await session.closed;
  outer.drain();
  await outer.closed;
});

both(
  "an inner peer of another name is refused, and the outer session lives on",
  async (carrier) => {
    const [clientSocket, serverSocket] = await links.pair(carrier, carrier);
    const refusals: unknown[] = [];
    const inner = (tunnel: IncomingTunnel): void => {
      serve(tunnelAsDuplex(tunnel.accept([])), gateway, echo).catch((thrown: unknown) =>
        refusals.push(thrown),
      );
    };
    const [outer] = await Promise.all([
      open(clientSocket, web, spiffe("istio-system/gateway")),
      serve(serverSocket, gateway, inner),
    ]);
    const stream = await connect(outer, "a.b:80");
    await assert.rejects(open(stream, web, spiffe("shop/catalog")), /identity verification error/);
    assert.equal(outer.usable, true);
    assert.equal(outer.openStreams, 0);
    const second = await open(await connect(outer, "a.b:80"), web, spiffe("istio-system/gateway"));
    assert.equal(second.usable, true);
    second.destroy(new MeshError("drained", "test is over"));
    outer.destroy(new MeshError("drained", "test is over"));
    await outer.closed;
  },
);

both("a peer that is revoked later ends its tunnels with that reason", async (carrier) => {
  let cut: (() => void) | undefined;
  const revocation: PeerRevocation = {
    revoked: () => undefined,
    track: (tls) => {
      cut = () => tls.destroy(new MeshError("certificate-revoked", "peer is revoked"));
    },
  };
  const guarded = newWorkload(root, { uris: [spiffe("shop/web")], revocation });
  const [clientSocket, serverSocket] = await links.pair(carrier, carrier);
  const [session] = await Promise.all([
    open(clientSocket, guarded, spiffe("shop/catalog")),
    serve(serverSocket, catalog, echo),
  ]);
  const duplex = await connect(session, "10.0.0.1:80");
  const failure = once(duplex, "error");
  cut?.();
  const [error] = await failure;
  assert.ok(error instanceof MeshError);
  assert.equal(error.code, "certificate-revoked");
  await session.closed;
});
