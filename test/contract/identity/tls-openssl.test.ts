/** The TLS parameters of HBONE (wire/ztunnel.md section 4.6), judged by openssl's command line tools. */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { describeError } from "../../../src/shared/base/errors.ts";
import { formatSpiffe } from "../../../src/shared/identity/spiffe.ts";
import { hasHybridGroup } from "../../../src/shared/identity/tls-context.ts";
import type { WorkloadCertificate } from "../../../src/shared/identity/workload-certificate.ts";
import { deferred } from "../../support/deferred.ts";
import {
  asClient,
  asServer,
  type Carrier,
  carriers,
  closeLink,
  dial,
  Links,
} from "../../unit/shared/identity/carriers.ts";
import { newRoot, newWorkload, spiffe } from "../../unit/shared/identity/pki.ts";

const links = await Links.open();
after(() => links.close());

const folder = mkdtempSync(join(tmpdir(), "ambit-tls-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function save(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const root = newRoot();
const peer = newWorkload(root, { uris: [spiffe("shop/openssl")] });
const catalog = newWorkload(root, { uris: [spiffe("shop/catalog")] });
const foreign = newWorkload(newRoot("foreign"), { uris: [spiffe("shop/openssl")] });
const rootPath = save("root.pem", root.certificate.pem);
const credentialsOf = (name: string, { leaf, keyPem }: typeof peer): string[] => [
  "-cert",
  save(`${name}.pem`, leaf.pem),
  "-key",
  save(`${name}.key`, keyPem),
];
const own = credentialsOf("peer", peer);

async function listen(onSocket: (socket: net.Socket) => void): Promise<[net.Server, number]> {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, onSocket);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return [server, (server.address() as net.AddressInfo).port];
}

interface Seen {
  /** Everything that s_client printed. */
  readonly text: string;
  /** What our server made of it: the peer's identity or why it was refused. */
  readonly verdict: string;
}

/** Runs s_client against our server; it gets a greeting if the server accepts, and leaves. */
async function sClient(
  carrier: Carrier,
  args: string[],
  certificate: WorkloadCertificate = catalog,
): Promise<Seen> {
  const verdict = links.accept(carrier).then(async (link) => {
    try {
      const session = await asServer(link, { certificate, timeoutMs: 3000 });
      session.end("greetings\n");
      return formatSpiffe(session.peer);
    } catch (thrown) {
      return describeError(thrown);
    }
  });
  const to = ["-connect", `127.0.0.1:${links.ports[carrier]}`, "-CAfile", rootPath];
  const child = spawn("openssl", ["s_client", ...to, "-noservername", ...args], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  return { text: await output(child), verdict: await verdict };
}

async function output(child: ChildProcess): Promise<string> {
  let text = "";
  const collect = (chunk: Buffer): void => {
    text += chunk.toString();
  };
  child.stdout?.on("data", collect);
  child.stderr?.on("data", collect);
  const timer = setTimeout(() => child.kill(), 8000);
  await once(child, "close");
  clearTimeout(timer);
  return text;
}

const accepted = spiffe("shop/openssl");

/** One test for each carrier. */
function both(name: string, body: (carrier: Carrier) => Promise<void>): void {
  for (const carrier of carriers) test(`${carrier} ${name}`, () => body(carrier));
}

both(
  "as a server: TLS 1.3, AES-256-GCM, X25519, ALPN h2, client certificate demanded",
  async (carrier) => {
    const { text, verdict } = await sClient(carrier, [...own, "-alpn", "h2"]);
    assert.equal(verdict, accepted);
    assert.match(text, /New, TLSv1\.3, Cipher is TLS_AES_256_GCM_SHA384/);
    assert.match(text, /ALPN protocol: h2/);
    assert.match(text, /Server Temp Key: X25519/);
    assert.match(text, /Verification: OK/);
    assert.match(text, /Acceptable client certificate CA names\nO = test\n/);
    assert.match(text, /greetings/);
  },
);

const noSuite = "handshake failure";
const serverTable: readonly [string, string[], string, alert?: string][] = [
  ["AES-128-GCM is there too", ["-ciphersuites", "TLS_AES_128_GCM_SHA256"], accepted],
  ["ChaCha20 is not", ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"], "tls error", noSuite],
  ["P-256 is there", ["-groups", "P-256"], accepted],
  ["P-384 is there", ["-groups", "P-384"], accepted],
  ["P-521 is not", ["-groups", "P-521"], "tls error", "handshake failure"],
  ["X448 is not", ["-groups", "X448"], "tls error", "handshake failure"],
  ["TLS 1.2 is not", ["-tls1_2"], "tls error", "alert protocol version"],
  ["a client without ALPN is served", [], accepted],
  ["a client that offers h2 among others is served", ["-alpn", "http/1.1,h2"], accepted],
  ["HTTP/1.1 alone is refused", ["-alpn", "http/1.1"], "tls error", "no application protocol"],
];

for (const [name, args, expected, alert] of serverTable) {
  both(`as a server: ${name}`, async (carrier) => {
    const { verdict, text } = await sClient(carrier, [...own, ...args]);
    assert.ok(verdict.startsWith(expected), verdict);
    if (alert !== undefined) assert.ok(text.includes(alert), text);
    assert.equal(text.includes("greetings"), alert === undefined);
  });
}

const hourMs = 3_600_000;
const lastingFrom = (fromMs: number, toMs: number) => {
  const validity = { notBeforeMs: Date.now() + fromMs, notAfterMs: Date.now() + toMs };
  return newWorkload(root, { uris: [accepted], validity });
};
const expired = credentialsOf("expired", lastingFrom(-2 * hourMs, -hourMs));
const early = credentialsOf("early", lastingFrom(hourMs, 2 * hourMs));
const ofForeign = credentialsOf("foreign", foreign);

/** A leaf of our root for one purpose only, which our own issuer never makes. */
function credentialsFor(purpose: "clientAuth" | "serverAuth"): string[] {
  const key = join(folder, `${purpose}.key`);
  const request = join(folder, `${purpose}.csr`);
  const certificate = join(folder, `${purpose}.pem`);
  const rootKey = root.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const extensions = `subjectAltName=URI:${accepted}\nextendedKeyUsage=${purpose}\n`;
  const run = (...args: string[]): void =>
    void execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  run("req", "-new", ...newKey, "-keyout", key, "-out", request, "-subj", "/CN=x");
  const issuer = ["-CA", rootPath, "-CAkey", save("root.key", rootKey), "-CAcreateserial"];
  const names = ["-extfile", save(`${purpose}.cnf`, extensions)];
  run("x509", "-req", "-in", request, ...issuer, ...names, "-days", "1", "-out", certificate);
  return ["-cert", certificate, "-key", key];
}

const forClients = credentialsFor("clientAuth");
const forServers = credentialsFor("serverAuth");

// Node's server closes without an alert when it has judged a certificate, so only the bare carrier's is held to it.
const refusedClients: readonly [string, string[], RegExp, alert: string][] = [
  ["no certificate", [], /did not return a certificate/, "alert certificate required"],
  ["a foreign root", ofForeign, /unable.to.(get|verify)/i, "alert unknown ca"],
  ["an expired certificate", expired, /expired/i, "alert certificate expired"],
  ["a certificate not yet valid", early, /not.yet.valid/i, "alert bad certificate"],
  ["a server's certificate", forServers, /purpose/i, "alert unsupported certificate"],
];

for (const [name, credentials, reason, alert] of refusedClients) {
  both(`as a server: ${name} is refused`, async (carrier) => {
    const { verdict, text } = await sClient(carrier, [...credentials, "-alpn", "h2"]);
    assert.match(verdict, /^tls error: /);
    assert.match(verdict, reason);
    assert.doesNotMatch(text, /greetings/);
    if (carrier === "bare") assert.ok(text.includes(alert), text);
  });
}

both("as a server: a certificate for clients only is enough", async (carrier) => {
  const { verdict } = await sClient(carrier, forClients);
  assert.equal(verdict, accepted);
});

both("as a server: no ticket is handed out that would resume a session", async (carrier) => {
  const session = join(folder, `session-${carrier}`);
  const first = await sClient(carrier, [...own, "-alpn", "h2", "-msg", "-sess_out", session]);
  assert.equal(first.verdict, accepted);
  assert.match(first.text, /Handshake \[length [0-9a-f]+\], Finished/);
  if (carrier === "bare") assert.doesNotMatch(first.text, /NewSessionTicket/);
  // Node hands out tickets in TLS 1.3 and honors none.
  assert.equal(existsSync(session), carrier === "node");
  if (carrier === "bare") return;
  const { text, verdict } = await sClient(carrier, [...own, "-alpn", "h2", "-sess_in", session]);
  assert.equal(verdict, accepted);
  assert.doesNotMatch(text, /Reused/);
});

both(
  "as a server: TLS 1.2 with its AEAD suites is there when it is switched on",
  async (carrier) => {
    const old = newWorkload(root, { uris: [spiffe("shop/catalog")], tls: { tls12: true } });
    const { text, verdict } = await sClient(carrier, [...own, "-tls1_2", "-alpn", "h2"], old);
    assert.equal(verdict, accepted);
    assert.match(text, /Cipher is ECDHE-ECDSA-AES256-GCM-SHA384/);
    assert.doesNotMatch(text, /TLS session ticket:/);
    const newer = await sClient(carrier, own, old);
    assert.match(newer.text, /New, TLSv1\.3/);
    const weak = await sClient(
      carrier,
      [...own, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"],
      old,
    );
    assert.match(weak.verdict, /^tls error: /);
    const tls11 = await sClient(carrier, [...own, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], old);
    assert.match(tls11.verdict, /^tls error: /);
  },
);

/** Runs s_server for one connection of our client. */
async function sServer(
  carrier: Carrier,
  args: string[],
  acceptedIdentities: string[] = [accepted],
): Promise<Seen> {
  // s_server cannot say which port it chose, so a free one is picked for it.
  const [probe, port] = await listen((socket) => socket.destroy());
  probe.close();
  const where = ["-accept", `127.0.0.1:${port}`, "-naccept", "1", "-CAfile", rootPath];
  const child = spawn("openssl", ["s_server", ...where, "-Verify", "2", ...args], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const listening = new Promise<void>((resolve) =>
    child.stdout.on("data", (chunk: Buffer) => {
      if (chunk.includes("ACCEPT")) resolve();
    }),
  );
  const text = output(child);
  await listening;
  const link = await dial(carrier, port);
  try {
    const shaking = { certificate: catalog, timeoutMs: 3000 };
    const session = await asClient(link, shaking, acceptedIdentities);
    const { tls } = session;
    if (tls !== undefined) assert.equal(tls.getProtocol(), "TLSv1.3");
    session.end("greetings\n");
    return { verdict: formatSpiffe(session.peer), text: await text };
  } catch (thrown) {
    return { verdict: describeError(thrown), text: await text };
  } finally {
    closeLink(link);
  }
}

both(
  "as a client: openssl's server is accepted by its name, with the same parameters",
  async (carrier) => {
    const { verdict, text } = await sServer(carrier, [...own, "-alpn", "h2"]);
    assert.equal(verdict, accepted);
    assert.match(text, /CIPHER is TLS_AES_256_GCM_SHA384/);
    assert.match(text, /ALPN protocols selected: h2/);
    assert.match(text, /Shared ciphers:TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256\n/);
    assert.match(text, /greetings/);
  },
);

const refusedServers: readonly [string, string[], RegExp, alert: string][] = [
  ["a foreign root", ofForeign, /unable.to.(get|verify)/i, "alert unknown ca"],
  ["an expired certificate", expired, /expired/i, "alert certificate expired"],
  ["a certificate not yet valid", early, /not.yet.valid/i, "alert bad certificate"],
  ["a client's certificate", forClients, /purpose/i, "alert unsupported certificate"],
  ["an old version", [...own, "-tls1_2"], /version/i, "unsupported protocol"],
];

for (const [name, args, reason, alert] of refusedServers) {
  both(`as a client: ${name} is refused`, async (carrier) => {
    const { verdict, text } = await sServer(carrier, args);
    assert.match(verdict, /^tls error: /);
    assert.match(verdict, reason);
    if (carrier === "bare") assert.ok(text.includes(alert), text);
  });
}

both("as a client: a server of another name is refused", async (carrier) => {
  const { verdict, text } = await sServer(carrier, own, [spiffe("shop/other")]);
  assert.match(verdict, /identity verification error/);
  assert.doesNotMatch(text, /greetings/);
});

interface ClientHello {
  readonly suites: readonly number[];
  readonly extensions: ReadonlyMap<number, Buffer>;
}

/** RFC 8446 section 4.1.2, from the first record of a connection. */
function parseClientHello(record: Buffer): ClientHello {
  let at = 5 + 4 + 2 + 32;
  at += 1 + record.readUInt8(at);
  const suiteBytes = record.readUInt16BE(at);
  const suites: number[] = [];
  for (let i = 0; i < suiteBytes; i += 2) suites.push(record.readUInt16BE(at + 2 + i));
  at += 2 + suiteBytes;
  at += 1 + record.readUInt8(at) + 2;
  const extensions = new Map<number, Buffer>();
  while (at < record.length) {
    const length = record.readUInt16BE(at + 2);
    extensions.set(record.readUInt16BE(at), record.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return { suites, extensions };
}

async function clientHelloOf(
  carrier: Carrier,
  certificate: WorkloadCertificate,
): Promise<ClientHello> {
  const hello = deferred<Buffer>();
  const [server, port] = await listen((socket) => {
    socket.once("data", (data: Buffer) => {
      hello.resolve(data);
      socket.destroy();
    });
    socket.resume();
  });
  const attempt = asClient(await dial(carrier, port), { certificate }, [accepted]);
  await assert.rejects(attempt, /^MeshError: tls error: /);
  server.close();
  return parseClientHello(await hello.promise);
}

const extension = { serverName: 0, groups: 10, alpn: 16, tickets: 35, preShared: 41, versions: 43 };

const groupsIn = (hello: ClientHello): number[] => {
  const list = hello.extensions.get(extension.groups) ?? assert.fail("no groups");
  return Array.from({ length: list.readUInt16BE(0) / 2 }, (_, i) => list.readUInt16BE(2 + 2 * i));
};

both(
  "as a client: the hello offers TLS 1.3 only, two suites, the groups, h2, and no server name",
  async (carrier) => {
    const hello = await clientHelloOf(carrier, catalog);
    // OpenSSL 3.0 adds the signalling value for renegotiation, which is no suite.
    assert.deepEqual(
      hello.suites.filter((suite) => suite !== 0x00ff),
      [0x1302, 0x1301],
    );
    assert.equal(hello.extensions.get(extension.versions)?.toString("hex"), "020304");
    const hybrid = hasHybridGroup() ? [0x11ec] : [];
    assert.deepEqual(groupsIn(hello), [0x001d, 0x0017, 0x0018, ...hybrid]);
    assert.equal(hello.extensions.get(extension.alpn)?.toString("latin1"), "\0\x03\x02h2");
    assert.equal(hello.extensions.has(extension.serverName), false);
    assert.equal(hello.extensions.has(extension.preShared), false);
  },
);

if (hasHybridGroup())
  both("as a client: under the pqc policy only the hybrid group is offered", async (carrier) => {
    const pqc = newWorkload(root, { tls: { compliancePolicy: "pqc" } });
    assert.deepEqual(groupsIn(await clientHelloOf(carrier, pqc)), [0x11ec]);
  });

if (hasHybridGroup())
  both(
    "as a server: under the pqc policy a client without the hybrid group is refused",
    async (carrier) => {
      const pqc = newWorkload(root, { tls: { compliancePolicy: "pqc", tls12: true } });
      for (const version of ["-tls1_3", "-tls1_2"]) {
        const { verdict, text } = await sClient(
          carrier,
          [...own, version, "-groups", "X25519"],
          pqc,
        );
        assert.match(verdict, /^tls error: /);
        assert.match(text, /alert (handshake failure|protocol version)/);
      }
    },
  );
