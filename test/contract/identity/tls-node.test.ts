/** node:tls as it comes as the peer of a bare connection: what it negotiates, which alert it sees, and that nothing resumes. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import tls, { type ConnectionOptions, type TLSSocket, type TlsOptions } from "node:tls";
import { describeError } from "../../../src/shared/base/errors.ts";
import { formatSpiffe } from "../../../src/shared/identity/spiffe.ts";
import type { WorkloadCertificate } from "../../../src/shared/identity/workload-certificate.ts";
import {
  asClient,
  asServer,
  dial,
  Links,
  type Session,
} from "../../unit/shared/identity/carriers.ts";
import { newIntermediate, newRoot, newWorkload, spiffe } from "../../unit/shared/identity/pki.ts";

const links = await Links.open();
after(() => links.close());

const root = newRoot();
const accepted = spiffe("shop/node");
const uris = [accepted];
const peer = newWorkload(root, { uris });
const catalog = newWorkload(root, { uris: [spiffe("shop/catalog")] });
const older = newWorkload(root, { uris: [spiffe("shop/catalog")], tls: { tls12: true } });
const foreign = newWorkload(newRoot("foreign"), { uris });
const expired = newWorkload(root, {
  uris,
  validity: { notBeforeMs: Date.now() - 7_200_000, notAfterMs: Date.now() - 3_600_000 },
});
const deep = newWorkload(newIntermediate(root), { uris, roots: [root.certificate] });

const presenting = ({ leaf, intermediates, keyPem }: typeof peer) => ({
  cert: [leaf, ...intermediates].map(({ pem }) => pem).join(""),
  key: keyPem,
});

interface Seen {
  /** Who the peer is to us, or why it was refused. */
  readonly verdict: string;
  /** The code of the error that Node's socket ended with. */
  readonly code: string | undefined;
  readonly socket: TLSSocket;
  /** Taken when the handshake was done; later Node forgets both. */
  readonly session?: Buffer | undefined;
  readonly reused?: boolean | undefined;
  /** What it received. */
  readonly text: string;
}

/** Answers with a greeting, and ends. */
async function greet(attempt: Promise<Session>): Promise<string> {
  try {
    const session = await attempt;
    session.end("greetings");
    return formatSpiffe(session.peer);
  } catch (thrown) {
    return describeError(thrown);
  }
}

async function drained(socket: TLSSocket): Promise<Pick<Seen, "code" | "text">> {
  let code: string | undefined;
  let text = "";
  socket.on("error", (error: NodeJS.ErrnoException) => {
    code = error.code;
  });
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  // Not by once(), which an error would end.
  await new Promise((resolve) => socket.once("close", resolve));
  return { code, text };
}

async function nodeClient(
  options: ConnectionOptions,
  certificate: WorkloadCertificate = catalog,
): Promise<Seen> {
  const verdict = links.accept("bare").then((link) => greet(asServer(link, { certificate })));
  const socket = tls.connect({
    port: links.ports.bare,
    host: "127.0.0.1",
    ca: [root.certificate.pem],
    checkServerIdentity: () => undefined,
    ...options,
  });
  let done: Pick<Seen, "session" | "reused"> = {};
  socket.once("secureConnect", () => {
    done = { session: socket.getSession(), reused: socket.isSessionReused() };
  });
  const end = await drained(socket);
  return { ...end, ...done, verdict: await verdict, socket };
}

async function nodeServer(options: TlsOptions): Promise<Seen> {
  const server = tls.createServer({
    ca: [root.certificate.pem],
    requestCert: true,
    ALPNProtocols: ["h2"],
    ...options,
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const ended = new Promise<Pick<Seen, "code" | "text" | "socket">>((resolve) => {
    server.once("secureConnection", async (socket: TLSSocket) =>
      resolve({ ...(await drained(socket)), socket }),
    );
    server.once("tlsClientError", ({ code }: NodeJS.ErrnoException, socket: TLSSocket) =>
      resolve({ code, text: "", socket }),
    );
  });
  const link = await dial("bare", (server.address() as AddressInfo).port);
  const verdict = await greet(asClient(link, { certificate: catalog }, [accepted]));
  const end = await ended;
  server.close();
  return { ...end, verdict };
}

const alpn = { ALPNProtocols: ["h2"] };

for (const [name, credentials] of [
  ["its certificate", presenting(peer)],
  ["a chain of two", presenting(deep)],
] as const) {
  test(`a client of Node with ${name} is served over TLS 1.3`, async () => {
    const { verdict, text, code } = await nodeClient({ ...credentials, ...alpn });
    assert.deepEqual(
      { verdict, text, code },
      { verdict: accepted, text: "greetings", code: undefined },
    );
  });

  test(`a server of Node with ${name} is accepted`, async () => {
    const { verdict, text, code } = await nodeServer(credentials);
    assert.deepEqual(
      { verdict, text, code },
      { verdict: accepted, text: "greetings", code: undefined },
    );
  });
}

const clientAlerts: readonly [string, ConnectionOptions, string][] = [
  ["without a certificate", alpn, "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED"],
  ["of a foreign root", presenting(foreign), "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA"],
  [
    "whose certificate has expired",
    presenting(expired),
    "ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED",
  ],
  [
    "that offers http/1.1 only",
    { ...presenting(peer), ALPNProtocols: ["http/1.1"] },
    "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL",
  ],
  [
    "of TLS 1.2",
    { ...presenting(peer), maxVersion: "TLSv1.2" },
    "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
  ],
];

for (const [name, options, alert] of clientAlerts) {
  test(`a client of Node ${name} gets an alert and no octet`, async () => {
    const { verdict, text, code } = await nodeClient(options);
    assert.match(verdict, /^tls error: /);
    assert.deepEqual({ text, code }, { text: "", code: alert });
  });
}

const serverAlerts: readonly [string, TlsOptions, string][] = [
  ["of a foreign root", presenting(foreign), "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA"],
  [
    "whose certificate has expired",
    presenting(expired),
    "ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED",
  ],
];

for (const [name, options, alert] of serverAlerts) {
  test(`a server of Node ${name} gets an alert`, async () => {
    const { verdict, code } = await nodeServer(options);
    assert.match(verdict, /^tls error: peer certificate: /);
    assert.equal(code, alert);
  });
}

test("a client of Node without ALPN is served", async () => {
  const { verdict, socket } = await nodeClient(presenting(peer));
  assert.equal(verdict, accepted);
  assert.equal(socket.alpnProtocol, false);
});

/** A session that a server of Node has made, with a ticket. */
async function foreignSession(maxVersion: "TLSv1.2" | "TLSv1.3"): Promise<Buffer> {
  const server = tls.createServer({ ...presenting(peer), maxVersion }, (socket) => socket.end("x"));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const socket = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  const [session] = await once(socket, "session");
  socket.destroy();
  server.close();
  return session as Buffer;
}

for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
  test(`${version}: no ticket is handed out, and a session that a client brings is not resumed`, async () => {
    const session = await foreignSession(version);
    let tickets = 0;
    const options = { ...presenting(peer), ...alpn, session, maxVersion: version };
    const verdict = links
      .accept("bare")
      .then((link) => greet(asServer(link, { certificate: older })));
    const socket = tls.connect({
      ...options,
      port: links.ports.bare,
      host: "127.0.0.1",
      ca: [root.certificate.pem],
      checkServerIdentity: () => undefined,
    });
    socket.on("session", () => tickets++);
    await once(socket, "secureConnect");
    assert.equal(socket.getProtocol(), version);
    assert.equal(socket.alpnProtocol, "h2");
    assert.equal(socket.isSessionReused(), false);
    assert.equal(socket.getTLSTicket(), undefined);
    const { text } = await drained(socket);
    assert.equal(text, "greetings");
    assert.equal(await verdict, accepted);
    if (version === "TLSv1.3") assert.equal(tickets, 0);
  });
}

test("TLS 1.2: what one connection left behind does not resume the next", async () => {
  const options: ConnectionOptions = { ...presenting(peer), ...alpn, maxVersion: "TLSv1.2" };
  const first = await nodeClient(options, older);
  assert.equal(first.verdict, accepted);
  const { session } = first;
  assert.ok(session !== undefined);
  const second = await nodeClient({ ...options, session }, older);
  assert.equal(second.verdict, accepted);
  assert.equal(second.reused, false);
});
