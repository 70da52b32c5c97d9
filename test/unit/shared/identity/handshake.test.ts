import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { Duplex } from "node:stream";
import { after, test } from "node:test";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { MeshError } from "../../../../src/shared/base/errors.ts";
import { handshakeClient, handshakeServer } from "../../../../src/shared/identity/handshake.ts";
import type { SecuredSocket } from "../../../../src/shared/identity/handshake-attempt.ts";
import { issueLeaf } from "../../../../src/shared/identity/issue.ts";
import { hasHybridGroup } from "../../../../src/shared/identity/tls-context.ts";
import type { WorkloadCertificate } from "../../../../src/shared/identity/workload-certificate.ts";
import { aroundNow, newIntermediate, newRoot, newWorkload, spiffe } from "./pki.ts";

const listener = net.createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
listener.listen(0, "127.0.0.1");
await once(listener, "listening");
after(() => listener.close());

async function socketPair(): Promise<[client: net.Socket, server: net.Socket]> {
  const { port } = listener.address() as net.AddressInfo;
  const accepted = once(listener, "connection");
  const client = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  await once(client, "connect");
  return [client, (await accepted)[0] as net.Socket];
}

interface Setup {
  readonly client: WorkloadCertificate;
  readonly server: WorkloadCertificate;
  readonly accepted?: readonly string[];
  readonly trustDomain?: string;
  readonly sockets?: [Duplex, Duplex];
}

type Result = PromiseSettledResult<SecuredSocket>;

async function shake(setup: Setup): Promise<[client: Result, server: Result]> {
  const [clientSocket, serverSocket] = setup.sockets ?? (await socketPair());
  const results = await Promise.allSettled([
    handshakeClient({
      socket: clientSocket,
      certificate: setup.client,
      acceptedIdentities: setup.accepted ?? [spiffe("shop/catalog")],
      clock: systemClock,
      timeoutMs: 2000,
    }),
    handshakeServer({
      socket: serverSocket,
      certificate: setup.server,
      trustDomain: setup.trustDomain ?? "cluster.local",
      clock: systemClock,
      timeoutMs: 2000,
    }),
  ]);
  return results;
}

function opened(result: Result): SecuredSocket {
  if (result.status === "rejected") throw result.reason;
  return result.value;
}

function closeBoth(...results: Result[]): void {
  for (const result of results) if (result.status === "fulfilled") result.value.tls.destroy();
}

function refusal(result: Result): string {
  assert.equal(result.status, "rejected");
  assert.ok(result.reason instanceof MeshError, String(result.reason));
  assert.equal(result.reason.code, "tls-failed");
  assert.match(result.reason.message, /^tls error: /);
  return result.reason.message;
}

const root = newRoot();
const web = newWorkload(root, { uris: [spiffe("shop/web")] });
const catalog = newWorkload(root, { uris: [spiffe("shop/catalog")] });

test("both sides learn who the other is, over TLS 1.3 with ALPN h2, and can talk and half-close", async () => {
  const [clientResult, serverResult] = await shake({ client: web, server: catalog });
  const client = opened(clientResult);
  const server = opened(serverResult);
  assert.deepEqual(client.peer, catalog.identity);
  assert.deepEqual(server.peer, web.identity);
  for (const { tls } of [client, server]) {
    assert.equal(tls.getProtocol(), "TLSv1.3");
    assert.equal(tls.alpnProtocol, "h2");
    assert.equal(tls.getCipher().name, "TLS_AES_256_GCM_SHA384");
    assert.equal(tls.isSessionReused(), false);
    assert.equal(tls.allowHalfOpen, true);
    assert.equal(tls.listenerCount("close") <= 2, true);
  }
  client.tls.end("hello");
  const chunks: Buffer[] = [];
  for await (const chunk of server.tls) chunks.push(chunk as Buffer);
  assert.equal(Buffer.concat(chunks).toString(), "hello");
  closeBoth(clientResult, serverResult);
});

test("many connections at once under one certificate each learn their own peer", async () => {
  const clients = Array.from({ length: 12 }, (_, index) =>
    newWorkload(root, { uris: [spiffe(`shop/web${index}`)] }),
  );
  const pairs: [net.Socket, net.Socket][] = [];
  for (let index = 0; index < clients.length; index++) pairs.push(await socketPair());
  const all = await Promise.all(
    clients.map((client, index) =>
      shake({ client, server: catalog, sockets: pairs[index] ?? assert.fail() }),
    ),
  );
  all.forEach(([client, server], index) => {
    assert.deepEqual(opened(server).peer, clients[index]?.identity);
    closeBoth(client, server);
  });
});

const otherRoot = newRoot("other");
const foreign = newWorkload(otherRoot, { uris: [spiffe("shop/catalog")] });

test("a server with another identity is refused, and the error names both", async () => {
  const [client, server] = await shake({
    client: web,
    server: catalog,
    accepted: [spiffe("shop/orders")],
  });
  const text = refusal(client);
  assert.ok(text.includes('"spiffe://cluster.local/ns/shop/sa/orders"'), text);
  assert.ok(text.includes('"spiffe://cluster.local/ns/shop/sa/catalog"'), text);
  closeBoth(client, server);
});

test("an empty list of accepted identities accepts nobody", async () => {
  const [client, server] = await shake({ client: web, server: catalog, accepted: [] });
  refusal(client);
  closeBoth(client, server);
});

test("a server whose chain ends at a foreign root is refused", async () => {
  const [client, server] = await shake({ client: web, server: foreign });
  refusal(client);
  closeBoth(client, server);
});

test("a client whose chain ends at a foreign root is refused, though its name is right", async () => {
  const spy = newWorkload(otherRoot, { uris: [spiffe("shop/web")], roots: [root.certificate] });
  const [client, server] = await shake({ client: spy, server: catalog });
  assert.match(refusal(server), /peer certificate: /);
  closeBoth(client, server);
});

for (const [name, uris, expected] of [
  ["of another trust domain", [spiffe("shop/web", "else.where")], /another trust domain/],
  ["without a SPIFFE name", ["https://cluster.local/ns/shop/sa/web"], /no SPIFFE identity/],
  ["with a malformed SPIFFE name", [`${spiffe("shop/web")}/extra`], /no SPIFFE identity/],
] as const) {
  test(`a client ${name} is refused`, async () => {
    const client = newWorkload(root, { uris: [...uris] });
    const [clientResult, server] = await shake({ client, server: catalog });
    assert.match(refusal(server), expected);
    closeBoth(clientResult, server);
  });
}

test("a certificate out of its time is refused on both sides", async () => {
  const old = { notBeforeMs: Date.now() - 7_200_000, notAfterMs: Date.now() - 3_600_000 };
  const late = newWorkload(root, { uris: [spiffe("shop/catalog")], validity: old });
  const first = await shake({ client: web, server: late });
  assert.match(refusal(first[0]), /expired/i);
  const second = await shake({ client: late, server: catalog });
  assert.match(refusal(second[1]), /expired/i);
  closeBoth(...first, ...second);
});

test("a SPIFFE name may be any of the peer's names", async () => {
  const server = newWorkload(root, {
    uris: ["https://x/y", spiffe("shop/a"), spiffe("shop/catalog")],
  });
  const [client, other] = await shake({ client: web, server });
  assert.equal(opened(client).peer.serviceAccount, "catalog");
  closeBoth(client, other);
});

test("during a rotation peers of the old and of the new root both pass, also with equal names of the roots", async () => {
  const next = newRoot();
  const both = [root.certificate, next.certificate];
  const webOld = newWorkload(root, { roots: both });
  const webNew = newWorkload(next, { roots: both });
  const catalogOld = newWorkload(root, { uris: [spiffe("shop/catalog")], roots: both });
  const catalogNew = newWorkload(next, { uris: [spiffe("shop/catalog")], roots: both });
  for (const client of [webOld, webNew])
    for (const server of [catalogOld, catalogNew]) {
      const results = await shake({ client, server });
      opened(results[0]);
      opened(results[1]);
      closeBoth(...results);
    }
});

test("a self-signed peer is refused even when it carries the right name", async () => {
  const own = newRoot("own");
  const server = newWorkload(own, { uris: [spiffe("shop/catalog")] });
  const [client, other] = await shake({ client: web, server });
  refusal(client);
  closeBoth(client, other);
});

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const anchorsMayBeIntermediate = major > 22 || (major === 22 && minor >= 9);

test("an anchor need not be self-signed, and a root sent along does no harm", {
  skip: !anchorsMayBeIntermediate && "this Node trusts self-signed anchors only",
}, async () => {
  const middle = newIntermediate(root);
  const anchors = [middle.certificate];
  const chained = { ...middle, intermediates: [middle.certificate, root.certificate] };
  const server = newWorkload(chained, { uris: [spiffe("shop/catalog")], roots: anchors });
  const client = newWorkload({ ...middle, intermediates: [] }, { roots: anchors });
  const results = await shake({ client, server });
  assert.deepEqual(opened(results[0]).peer, catalog.identity);
  assert.deepEqual(opened(results[1]).peer, client.identity);
  closeBoth(...results);
});

test("intermediates are sent, and a leaf of an authority that may not issue authorities is refused", async () => {
  const middle = newIntermediate(root);
  const good = newWorkload(middle, { uris: [spiffe("shop/catalog")], roots: [root.certificate] });
  const results = await shake({ client: web, server: good });
  assert.deepEqual(opened(results[0]).peer, catalog.identity);
  opened(results[1]);
  const tooDeep = newIntermediate(middle, "one too many");
  const chain = [tooDeep.certificate, middle.certificate];
  const bad = newWorkload(
    { ...tooDeep, intermediates: chain },
    { uris: [spiffe("shop/catalog")], roots: [root.certificate] },
  );
  const refused = await shake({ client: web, server: bad });
  assert.match(refusal(refused[0]), /path length|PATH_LENGTH/);
  closeBoth(...results, ...refused);
});

test("a leaf cannot issue", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const leaf = issueLeaf(root, publicKey, { uris: [spiffe("shop/evil")] }, aroundNow());
  const issuer = { certificate: leaf, privateKey, intermediates: [leaf] };
  const server = newWorkload(issuer, { uris: [spiffe("shop/catalog")], roots: [root.certificate] });
  const [client, other] = await shake({ client: web, server });
  refusal(client);
  closeBoth(client, other);
});

test("a silent peer is given up at the deadline and its socket closed", async () => {
  const [clientSocket, serverSocket] = await socketPair();
  const result = handshakeServer({
    socket: serverSocket,
    certificate: catalog,
    trustDomain: "cluster.local",
    clock: systemClock,
    timeoutMs: 50,
  });
  await assert.rejects(result, /tls error: handshake not finished after 50 ms/);
  assert.equal(serverSocket.destroyed, true);
  clientSocket.resume();
  await once(clientSocket, "end");
  clientSocket.destroy();
});

test("the signal ends a handshake with its own reason", async () => {
  const [clientSocket, serverSocket] = await socketPair();
  const controller = new AbortController();
  const result = handshakeClient({
    socket: clientSocket,
    certificate: web,
    acceptedIdentities: [spiffe("shop/catalog")],
    clock: systemClock,
    signal: controller.signal,
  });
  controller.abort(new Error("drained"));
  await assert.rejects(result, /^Error: drained$/);
  assert.equal(clientSocket.destroyed, true);
  serverSocket.destroy();
});

test("plain bytes and a peer that leaves are errors, not crashes", async () => {
  for (const act of [
    (socket: net.Socket) => socket.end("GET / HTTP/1.1\r\n\r\n"),
    (socket: net.Socket) => socket.resetAndDestroy(),
    (socket: net.Socket) => socket.end(),
  ]) {
    for (const role of ["client", "server"] as const) {
      const [clientSocket, serverSocket] = await socketPair();
      const common = { clock: systemClock, timeoutMs: 2000 };
      const result =
        role === "client"
          ? handshakeClient({
              ...common,
              socket: clientSocket,
              certificate: web,
              acceptedIdentities: [],
            })
          : handshakeServer({
              ...common,
              socket: serverSocket,
              certificate: web,
              trustDomain: "x",
            });
      act(role === "client" ? serverSocket : clientSocket);
      refusal((await Promise.allSettled([result]))[0]);
      clientSocket.destroy();
      serverSocket.destroy();
    }
  }
});

/** Two joined streams that are not sockets, as the stream of an outer tunnel. */
function duplexPair(): [Duplex, Duplex] {
  const make = (other: () => Duplex): Duplex =>
    new Duplex({
      allowHalfOpen: true,
      read() {
        // Data is pushed by the other side.
      },
      write(chunk, _encoding, callback) {
        other().push(chunk);
        callback();
      },
      final(callback) {
        other().push(null);
        callback();
      },
      destroy(error, callback) {
        if (!other().destroyed) other().push(null);
        callback(error);
      },
    });
  const first: Duplex = make(() => second);
  const second: Duplex = make(() => first);
  return [first, second];
}

test("the handshake runs over any duplex stream", async () => {
  const [client, server] = await shake({ client: web, server: catalog, sockets: duplexPair() });
  assert.deepEqual(opened(client).peer, catalog.identity);
  opened(server).tls.write("inner");
  const [data] = await once(opened(client).tls, "data");
  assert.equal(String(data), "inner");
  closeBoth(client, server);
});

test("a stream that is destroyed during the handshake fails it", async () => {
  const [clientStream, serverStream] = duplexPair();
  const result = handshakeClient({
    socket: clientStream,
    certificate: web,
    acceptedIdentities: [spiffe("shop/catalog")],
    clock: systemClock,
    timeoutMs: 2000,
  });
  clientStream.destroy(new Error("outer tunnel broke"));
  refusal((await Promise.allSettled([result]))[0]);
  serverStream.destroy();
});

test("the hybrid group works where OpenSSL has it", { skip: !hasHybridGroup() }, async () => {
  const pqc = { tls: { compliancePolicy: "pqc" as const } };
  const client = newWorkload(root, pqc);
  const server = newWorkload(root, { ...pqc, uris: [spiffe("shop/catalog")] });
  const results = await shake({ client, server });
  assert.equal(opened(results[0]).tls.getProtocol(), "TLSv1.3");
  closeBoth(...results);
  const mixed = await shake({ client: web, server });
  opened(mixed[0]);
  opened(mixed[1]);
  closeBoth(...mixed);
});
