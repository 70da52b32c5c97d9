/** Who is let in and who is refused, over both carriers: Node's TLS sockets, and OpenSSL on a bare connection. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { Duplex } from "node:stream";
import { after, test } from "node:test";
import { MeshError } from "../../../../src/shared/base/errors.ts";
import { issueLeaf } from "../../../../src/shared/identity/issue.ts";
import { hasHybridGroup, tlsSettings } from "../../../../src/shared/identity/tls-context.ts";
import {
  createWorkloadCertificate,
  type WorkloadCertificate,
} from "../../../../src/shared/identity/workload-certificate.ts";
import {
  asClient,
  asServer,
  type Carrier,
  carriers,
  type Link,
  Links,
  type Session,
} from "./carriers.ts";
import { aroundNow, newIntermediate, newRoot, newWorkload, spiffe } from "./pki.ts";

const links = await Links.open();
after(() => links.close());

interface Setup {
  readonly client: WorkloadCertificate;
  readonly server: WorkloadCertificate;
  readonly accepted?: readonly string[];
  readonly trustDomain?: string;
}

type Result = PromiseSettledResult<Session>;
type Shaken = [client: Result, server: Result];

async function shakeOn([client, server]: [Link, Link], setup: Setup): Promise<Shaken> {
  return Promise.allSettled([
    asClient(client, { certificate: setup.client }, setup.accepted ?? [spiffe("shop/catalog")]),
    asServer(server, { certificate: setup.server }, setup.trustDomain),
  ]);
}

/** One test for each carrier; closes what it has opened. */
function both(
  name: string,
  body: (shake: (setup: Setup) => Promise<Shaken>, carrier: Carrier) => Promise<void>,
  skip: string | false = false,
): void {
  for (const carrier of carriers)
    test(`${carrier}: ${name}`, { skip }, async () => {
      const all: Result[] = [];
      try {
        await body(async (setup) => {
          const results = await shakeOn(await links.pair(carrier, carrier), setup);
          all.push(...results);
          return results;
        }, carrier);
      } finally {
        closeAll(all);
      }
    });
}

function opened(result: Result): Session {
  if (result.status === "rejected") throw result.reason;
  return result.value;
}

function closeAll(results: readonly Result[]): void {
  for (const result of results) if (result.status === "fulfilled") result.value.close();
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

for (const client of carriers)
  for (const server of carriers)
    test(`${client} to ${server}: both learn who the other is, over TLS 1.3 with ALPN h2, and can talk`, async () => {
      const results = await shakeOn(await links.pair(client, server), {
        client: web,
        server: catalog,
      });
      const [near, far] = [opened(results[0]), opened(results[1])];
      assert.deepEqual(near.peer, catalog.identity);
      assert.deepEqual(far.peer, web.identity);
      for (const { tls } of [near, far]) {
        if (tls === undefined) continue;
        assert.equal(tls.getProtocol(), "TLSv1.3");
        assert.equal(tls.alpnProtocol, "h2");
        assert.equal(tls.getCipher().name, "TLS_AES_256_GCM_SHA384");
        assert.equal(tls.isSessionReused(), false);
        assert.equal(tls.allowHalfOpen, true);
        assert.equal(tls.listenerCount("close") <= 3, true);
      }
      far.send("who is there?");
      near.end("hello");
      assert.equal(await far.text, "hello");
      assert.equal(await far.failure, undefined);
      // Node's socket has ended and still reads; what is under way when the far end closes may be lost to it.
      closeAll(results);
    });

both("many connections at once under one certificate each learn their own peer", async (shake) => {
  const clients = Array.from({ length: 12 }, (_, index) =>
    newWorkload(root, { uris: [spiffe(`shop/web${index}`)] }),
  );
  const all = await Promise.all(clients.map((client) => shake({ client, server: catalog })));
  all.forEach(([client, server], index) => {
    opened(client);
    assert.deepEqual(opened(server).peer, clients[index]?.identity);
  });
});

const otherRoot = newRoot("other");
const foreign = newWorkload(otherRoot, { uris: [spiffe("shop/catalog")] });

both("a server with another identity is refused, and the error names both", async (shake) => {
  const accepted = [spiffe("shop/orders")];
  const [client, server] = await shake({ client: web, server: catalog, accepted });
  const text = refusal(client);
  assert.ok(text.includes('"spiffe://cluster.local/ns/shop/sa/orders"'), text);
  assert.ok(text.includes('"spiffe://cluster.local/ns/shop/sa/catalog"'), text);
  // It may have finished its side before; then it hears nothing but the end.
  if (server.status === "fulfilled") assert.equal(await server.value.text, "");
});

both("an empty list of accepted identities accepts nobody", async (shake) => {
  const [client] = await shake({ client: web, server: catalog, accepted: [] });
  assert.match(refusal(client), /identity verification error/);
});

both("a server whose chain ends at a foreign root is refused", async (shake) => {
  const trusting = newWorkload(otherRoot, {
    uris: [spiffe("shop/catalog")],
    roots: [root.certificate],
  });
  for (const server of [foreign, trusting]) {
    const [client, other] = await shake({ client: web, server });
    assert.match(refusal(client), /unable to (get|verify)|self.signed/i);
    refusal(other);
  }
});

both("a client of a foreign root is refused, though its name is right", async (shake, carrier) => {
  const spy = newWorkload(otherRoot, { uris: [spiffe("shop/web")], roots: [root.certificate] });
  const [client, server] = await shake({ client: spy, server: catalog });
  assert.match(refusal(server), /peer certificate: /);
  // In TLS 1.3 the client is done before the server has judged it; Node's server closes without an alert.
  const failure = await opened(client).failure;
  if (carrier === "bare") assert.match(failure?.message ?? "", /alert unknown ca/);
});

for (const [name, uris, expected] of [
  ["of another trust domain", [spiffe("shop/web", "else.where")], /another trust domain/],
  ["without a SPIFFE name", ["https://cluster.local/ns/shop/sa/web"], /no SPIFFE identity/],
  ["with a malformed SPIFFE name", [`${spiffe("shop/web")}/extra`], /no SPIFFE identity/],
] as const) {
  both(`a client ${name} is refused`, async (shake) => {
    const client = newWorkload(root, { uris: [...uris] });
    const [, server] = await shake({ client, server: catalog });
    assert.match(refusal(server), expected);
  });
}

both(
  "the server's trust domain is what it is told, and others beside it",
  async (shake, carrier) => {
    const stranger = newWorkload(root, { uris: [spiffe("shop/web", "else.where")] });
    const told = await shake({ client: stranger, server: catalog, trustDomain: "else.where" });
    assert.deepEqual(opened(told[1]).peer, stranger.identity);
    refusal((await shake({ client: web, server: catalog, trustDomain: "else.where" }))[1]);
    for (const [alsoTrusted, outcome] of [
      [["else.where"], "fulfilled"],
      ["every", "fulfilled"],
      [["some.where"], "rejected"],
    ] as const) {
      const [near, far] = await links.pair(carrier, carrier);
      const [client, server] = await Promise.allSettled([
        asClient(near, { certificate: stranger }, [spiffe("shop/catalog")]),
        asServer(far, { certificate: catalog, alsoTrusted }),
      ]);
      assert.equal(server.status, outcome, String(alsoTrusted));
      closeAll([client, server]);
    }
  },
);

const hourMs = 3_600_000;
for (const [name, from, to, expected] of [
  ["expired", -2 * hourMs, -hourMs, /expired/i],
  ["not yet valid", hourMs, 2 * hourMs, /not.yet.valid/i],
] as const) {
  both(`a certificate that is ${name} is refused on both sides`, async (shake) => {
    const now = Date.now();
    const validity = { notBeforeMs: now + from, notAfterMs: now + to };
    const untimely = newWorkload(root, { uris: [spiffe("shop/catalog")], validity });
    assert.match(refusal((await shake({ client: web, server: untimely }))[0]), expected);
    assert.match(refusal((await shake({ client: untimely, server: catalog }))[1]), expected);
  });
}

both("a SPIFFE name may be any of the peer's names", async (shake) => {
  const uris = ["https://x/y", spiffe("shop/a"), spiffe("shop/catalog")];
  const [client] = await shake({ client: web, server: newWorkload(root, { uris }) });
  assert.equal(opened(client).peer.serviceAccount, "catalog");
});

both(
  "during a rotation peers of the old and of the new root both pass, also with equal names of the roots",
  async (shake) => {
    const next = newRoot();
    const roots = [root.certificate, next.certificate];
    const uris = [spiffe("shop/catalog")];
    for (const ofClient of [root, next])
      for (const ofServer of [root, next]) {
        const client = newWorkload(ofClient, { roots });
        const results = await shake({ client, server: newWorkload(ofServer, { uris, roots }) });
        opened(results[0]);
        opened(results[1]);
      }
  },
);

both(
  "a peer that vouches for itself is refused even when it carries the right name",
  async (shake) => {
    const uris = [spiffe("shop/catalog")];
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const model = issueLeaf(root, publicKey, { uris }, aroundNow());
    // A leaf has an empty subject, so this one names itself as its issuer.
    const leaf = issueLeaf({ certificate: model, privateKey }, publicKey, { uris }, aroundNow());
    const material = { identity: catalog.identity, leaf, privateKey, roots: catalog.roots };
    const settings = tlsSettings({ tls12: false, compliancePolicy: undefined });
    const selfSigned = createWorkloadCertificate({ ...material, intermediates: [] }, settings);
    const own = { ...otherRoot, intermediates: [otherRoot.certificate] };
    const bringsItsRoot = newWorkload(own, { uris, roots: catalog.roots });
    for (const peer of [selfSigned, bringsItsRoot]) {
      const selfMade = /self.signed/i;
      assert.match(refusal((await shake({ client: web, server: peer }))[0]), selfMade);
      assert.match(refusal((await shake({ client: peer, server: catalog }))[1]), selfMade);
    }
  },
);

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const anchorsMayBeIntermediate = major > 22 || (major === 22 && minor >= 9);

both(
  "an anchor need not be self-signed, and a root sent along does no harm",
  async (shake) => {
    const middle = newIntermediate(root);
    const roots = [middle.certificate];
    const chained = { ...middle, intermediates: [middle.certificate, root.certificate] };
    const server = newWorkload(chained, { uris: [spiffe("shop/catalog")], roots });
    const client = newWorkload({ ...middle, intermediates: [] }, { roots });
    const results = await shake({ client, server });
    assert.deepEqual(opened(results[0]).peer, catalog.identity);
    assert.deepEqual(opened(results[1]).peer, client.identity);
    // Whoever is of the root above, or of a twin of the anchor, is not of the anchor.
    const outsiders = [root, newIntermediate(root)];
    for (const outsider of outsiders) {
      const uris = [spiffe("shop/catalog")];
      const other = newWorkload(outsider, { uris, roots: [root.certificate, middle.certificate] });
      refusal((await shake({ client, server: other }))[0]);
      refusal((await shake({ client: other, server }))[1]);
    }
  },
  !anchorsMayBeIntermediate && "this Node trusts self-signed anchors only",
);

both(
  "intermediates are sent, and a leaf of an authority that may not issue authorities is refused",
  async (shake) => {
    const middle = newIntermediate(root);
    const uris = [spiffe("shop/catalog")];
    const roots = [root.certificate];
    const good = newWorkload(middle, { uris, roots });
    const asTheServer = await shake({ client: web, server: good });
    assert.deepEqual(opened(asTheServer[0]).peer, catalog.identity);
    opened(asTheServer[1]);
    const asTheClient = await shake({ client: good, server: catalog });
    assert.deepEqual(opened(asTheClient[1]).peer, catalog.identity);
    const unsent = newWorkload({ ...middle, intermediates: [] }, { uris, roots });
    refusal((await shake({ client: web, server: unsent }))[0]);
    refusal((await shake({ client: unsent, server: catalog }))[1]);
    const tooDeep = newIntermediate(middle, "one too many");
    const chain = [tooDeep.certificate, middle.certificate];
    const bad = newWorkload({ ...tooDeep, intermediates: chain }, { uris, roots });
    const pathLength = /path.length/i;
    assert.match(refusal((await shake({ client: web, server: bad }))[0]), pathLength);
    assert.match(refusal((await shake({ client: bad, server: catalog }))[1]), pathLength);
  },
);

both("a leaf cannot issue", async (shake) => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const leaf = issueLeaf(root, publicKey, { uris: [spiffe("shop/evil")] }, aroundNow());
  const issuer = { certificate: leaf, privateKey, intermediates: [leaf] };
  const evil = newWorkload(issuer, { uris: [spiffe("shop/catalog")], roots: [root.certificate] });
  refusal((await shake({ client: web, server: evil }))[0]);
  refusal((await shake({ client: evil, server: catalog }))[1]);
});

const hybridSkip = !hasHybridGroup() && "this OpenSSL has no hybrid group";

both(
  "the hybrid group works where OpenSSL has it, also with a peer that merely has it too",
  async (shake) => {
    const pqc = { tls: { compliancePolicy: "pqc" as const } };
    const client = newWorkload(root, pqc);
    const server = newWorkload(root, { ...pqc, uris: [spiffe("shop/catalog")] });
    for (const setup of [
      { client, server },
      { client: web, server },
      { client, server: catalog },
    ]) {
      const results = await shake(setup);
      opened(results[0]);
      opened(results[1]);
    }
  },
  hybridSkip,
);

both("a certificate without any root trusts nobody", async (shake) => {
  const trustless = newWorkload(root, { uris: [spiffe("shop/catalog")], roots: [] });
  const noRoot = /no root certificate to trust/;
  assert.match(refusal((await shake({ client: trustless, server: catalog }))[0]), noRoot);
  assert.match(refusal((await shake({ client: web, server: trustless }))[1]), noRoot);
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
  const results = await shakeOn(duplexPair(), { client: web, server: catalog });
  assert.deepEqual(opened(results[0]).peer, catalog.identity);
  opened(results[1]).end("inner");
  assert.equal(await opened(results[0]).text, "inner");
  closeAll(results);
});

test("a stream that is destroyed during the handshake fails it", async () => {
  const [clientStream, serverStream] = duplexPair();
  const result = asClient(clientStream, { certificate: web }, [spiffe("shop/catalog")]);
  clientStream.destroy(new Error("outer tunnel broke"));
  refusal((await Promise.allSettled([result]))[0]);
  serverStream.destroy();
});
