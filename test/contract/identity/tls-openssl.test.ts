/** The TLS parameters of HBONE (wire/ztunnel.md section 4.6), judged by openssl's command line tools. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { describeError } from "../../../src/shared/base/errors.ts";
import { handshakeClient, handshakeServer } from "../../../src/shared/identity/handshake.ts";
import { formatSpiffe } from "../../../src/shared/identity/spiffe.ts";
import { hasHybridGroup } from "../../../src/shared/identity/tls-context.ts";
import type { WorkloadCertificate } from "../../../src/shared/identity/workload-certificate.ts";
import { newRoot, newWorkload, spiffe } from "../../unit/shared/identity/pki.ts";

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
async function sClient(args: string[], certificate: WorkloadCertificate = catalog): Promise<Seen> {
  const verdicts: Promise<string>[] = [];
  const [server, port] = await listen((socket) => {
    const attempt = handshakeServer({
      socket,
      certificate,
      trustDomain: "cluster.local",
      clock: systemClock,
      timeoutMs: 3000,
    });
    verdicts.push(
      attempt.then(
        ({ tls, peer: who }) => {
          tls.end("greetings\n");
          tls.resume();
          return formatSpiffe(who);
        },
        (thrown: unknown) => describeError(thrown),
      ),
    );
  });
  const child = spawn(
    "openssl",
    ["s_client", "-connect", `127.0.0.1:${port}`, "-CAfile", rootPath, "-noservername", ...args],
    { stdio: ["pipe", "pipe", "pipe"] },
  );
  const text = await output(child);
  server.close();
  return { text, verdict: (await verdicts[0]) ?? "no connection" };
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

test("as a server: TLS 1.3, AES-256-GCM, X25519, ALPN h2, client certificate demanded", async () => {
  const { text, verdict } = await sClient([...own, "-alpn", "h2"]);
  assert.equal(verdict, accepted);
  assert.match(text, /New, TLSv1\.3, Cipher is TLS_AES_256_GCM_SHA384/);
  assert.match(text, /ALPN protocol: h2/);
  assert.match(text, /Server Temp Key: X25519/);
  assert.match(text, /Verification: OK/);
  assert.match(text, /Acceptable client certificate CA names/);
  assert.match(text, /greetings/);
});

const serverTable: readonly [string, string[], string | RegExp][] = [
  ["AES-128-GCM is there too", ["-ciphersuites", "TLS_AES_128_GCM_SHA256"], accepted],
  ["ChaCha20 is not", ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"], /^tls error: /],
  ["P-256 is there", ["-groups", "P-256"], accepted],
  ["P-384 is there", ["-groups", "P-384"], accepted],
  ["P-521 is not", ["-groups", "P-521"], /^tls error: /],
  ["X448 is not", ["-groups", "X448"], /^tls error: /],
  ["TLS 1.2 is not", ["-tls1_2"], /^tls error: .*(unsupported|version)/i],
  ["a client without ALPN is served", [], accepted],
];

for (const [name, args, expected] of serverTable) {
  test(`as a server: ${name}`, async () => {
    const { verdict } = await sClient([...own, ...args]);
    if (typeof expected === "string") assert.equal(verdict, expected);
    else assert.match(verdict, expected);
  });
}

test("as a server: a client that speaks only HTTP/1.1 is refused", async () => {
  const { verdict, text } = await sClient([...own, "-alpn", "http/1.1"]);
  assert.match(verdict, /^tls error: /);
  assert.match(text, /no application protocol/);
});

test("as a server: no certificate, and a certificate of a foreign root, are refused", async () => {
  const without = await sClient(["-alpn", "h2"]);
  assert.match(without.verdict, /^tls error: /);
  assert.doesNotMatch(without.text, /greetings/);
  const other = await sClient([...credentialsOf("foreign", foreign), "-alpn", "h2"]);
  assert.match(other.verdict, /^tls error: peer certificate: /);
  assert.doesNotMatch(other.text, /greetings/);
});

test("as a server: a session is not resumed", async () => {
  const session = join(folder, "session");
  await sClient([...own, "-alpn", "h2", "-sess_out", session]);
  const { text, verdict } = await sClient([...own, "-alpn", "h2", "-sess_in", session]);
  assert.equal(verdict, accepted);
  assert.doesNotMatch(text, /Reused/);
});

test("as a server: TLS 1.2 with its AEAD suites is there when it is switched on", async () => {
  const old = newWorkload(root, { uris: [spiffe("shop/catalog")], tls: { tls12: true } });
  const { text, verdict } = await sClient([...own, "-tls1_2", "-alpn", "h2"], old);
  assert.equal(verdict, accepted);
  assert.match(text, /Cipher is ECDHE-ECDSA-AES256-GCM-SHA384/);
  const weak = await sClient([...own, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"], old);
  assert.match(weak.verdict, /^tls error: /);
  const tls11 = await sClient([...own, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], old);
  assert.match(tls11.verdict, /^tls error: /);
});

async function sServer(args: string[], acceptedIdentities: string[]): Promise<string> {
  // s_server cannot say which port it chose, so a free one is picked for it.
  const [probe, port] = await listen((socket) => socket.destroy());
  probe.close();
  const child = spawn(
    "openssl",
    ["s_server", "-accept", `127.0.0.1:${port}`, "-CAfile", rootPath, "-Verify", "2", ...args],
    { stdio: ["pipe", "pipe", "pipe"] },
  );
  for await (const chunk of child.stdout) if (String(chunk).includes("ACCEPT")) break;
  const socket = net.connect(port, "127.0.0.1");
  await once(socket, "connect");
  try {
    const { tls, peer: who } = await handshakeClient({
      socket,
      certificate: catalog,
      acceptedIdentities,
      clock: systemClock,
      timeoutMs: 3000,
    });
    const { name } = tls.getCipher();
    const seen = `${formatSpiffe(who)} ${tls.getProtocol()} ${name} ${tls.alpnProtocol}`;
    tls.destroy();
    return seen;
  } catch (thrown) {
    return describeError(thrown);
  } finally {
    socket.destroy();
    child.kill();
    await once(child, "close");
  }
}

test("as a client: openssl's server is accepted by its name, with the same parameters", async () => {
  assert.equal(
    await sServer([...own, "-alpn", "h2"], [accepted]),
    `${accepted} TLSv1.3 TLS_AES_256_GCM_SHA384 h2`,
  );
});

test("as a client: a server of another name, another root or an old version is refused", async () => {
  assert.match(await sServer(own, [spiffe("shop/other")]), /identity verification error/);
  assert.match(await sServer(credentialsOf("foreign", foreign), [accepted]), /^tls error: /);
  assert.match(await sServer([...own, "-tls1_2"], [accepted]), /^tls error: /);
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

async function clientHelloOf(certificate: WorkloadCertificate): Promise<ClientHello> {
  const hello = new Promise<Buffer>((resolve) => {
    void listen((socket) => {
      socket.once("data", (data: Buffer) => {
        resolve(data);
        socket.destroy();
      });
      socket.resume();
    }).then(async ([server, port]) => {
      const socket = net.connect(port, "127.0.0.1");
      await once(socket, "connect");
      const attempt = handshakeClient({
        socket,
        certificate,
        acceptedIdentities: [accepted],
        clock: systemClock,
      });
      await assert.rejects(attempt, /^MeshError: tls error: /);
      server.close();
    });
  });
  return parseClientHello(await hello);
}

const extension = { serverName: 0, groups: 10, alpn: 16, tickets: 35, preShared: 41, versions: 43 };

const groupsIn = (hello: ClientHello): number[] => {
  const list = hello.extensions.get(extension.groups) ?? assert.fail("no groups");
  return Array.from({ length: list.readUInt16BE(0) / 2 }, (_, i) => list.readUInt16BE(2 + 2 * i));
};

test("as a client: the hello offers TLS 1.3 only, two suites, the groups, h2, and no server name", async () => {
  const hello = await clientHelloOf(catalog);
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
});

test("as a client: under the pqc policy only the hybrid group is offered", {
  skip: !hasHybridGroup(),
}, async () => {
  const hello = await clientHelloOf(newWorkload(root, { tls: { compliancePolicy: "pqc" } }));
  assert.deepEqual(groupsIn(hello), [0x11ec]);
});
