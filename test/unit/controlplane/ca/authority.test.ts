/** Certificate authority and client over a real gRPC server with TLS. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, Server, ServerCredentials, status } from "@grpc/grpc-js";
import {
  type ControlPlaneAuthority,
  openAuthority,
} from "../../../../src/controlplane/ca/authority.ts";
import { servingNames } from "../../../../src/controlplane/ca/serving-names.ts";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { createCertificateMethod } from "../../../../src/shared/grpc/certificate-service.ts";
import type { GrpcEndpointOptions } from "../../../../src/shared/grpc/types.ts";
import { CaClient } from "../../../../src/shared/identity/ca-client.ts";
import { loadOrCreateKey, TOKEN_KEY_FILE } from "../../../../src/shared/identity/key-file.ts";
import { parseSpiffe, type SpiffeIdentity } from "../../../../src/shared/identity/spiffe.ts";
import { tlsSettings } from "../../../../src/shared/identity/tls-context.ts";
import { signToken, type TokenSubject } from "../../../../src/shared/identity/token.ts";
import { createLogger, LogFilter } from "../../../../src/shared/telemetry/logger.ts";
import { IstioCertificateRequestSchema } from "../../../../src/shared/wire/gen/istio/v1/auth/ca_pb.js";
import { newRoot } from "../../shared/identity/pki.ts";

const folder = mkdtempSync(join(tmpdir(), "ambit-ca-"));
const stateDir = join(folder, "state");
const web = parseSpiffe("spiffe://cluster.local/ns/shop/sa/web") ?? assert.fail();
const orders = parseSpiffe("spiffe://cluster.local/ns/shop/sa/orders") ?? assert.fail();
const nodeToken: TokenSubject = {
  namespace: "istio-system",
  serviceAccount: "ztunnel",
  node: "node1",
};
const tls = tlsSettings({ tls12: false, compliancePolicy: undefined });

let lines: string[] = [];
const log = createLogger(
  {
    clock: systemClock,
    filter: new LogFilter("info"),
    format: "plain",
    write: (line) => lines.push(line),
  },
  "test",
);
const outcomes: string[] = [];
const open = (): ControlPlaneAuthority => openAuthority({ stateDir, clock: systemClock, log });

let server: Server;
let address: string;
const clients: CaClient[] = [];

before(async () => {
  const authority = open();
  server = new Server();
  const { definition, implementation } = authority.service({
    trustDomain: "cluster.local",
    identitiesOnNode: (node) =>
      new Set(node === "node1" ? ["spiffe://cluster.local/ns/shop/sa/web"] : []),
    count: (outcome) => outcomes.push(outcome),
  });
  server.addService(definition, implementation);
  const serving = authority.servingCertificate(servingNames("127.0.0.1"));
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(
      "127.0.0.1:0",
      ServerCredentials.createSsl(null, [
        {
          private_key: Buffer.from(serving.privateKey),
          cert_chain: Buffer.from(serving.certificateChain),
        },
      ]),
      (error, bound) => (error ? reject(error) : resolve(bound)),
    ),
  );
  address = `https://127.0.0.1:${port}`;
  authority.publishRoots();
});

after(() => {
  for (const client of clients) client.close();
  server.forceShutdown();
  rmSync(folder, { recursive: true, force: true });
});

async function tokenFor(
  subject: TokenSubject,
  ttlMs = 3_600_000,
  issuedAtMs = Date.now(),
): Promise<string> {
  const key = loadOrCreateKey(join(stateDir, TOKEN_KEY_FILE));
  return await signToken(key, subject, { issuedAtMs, ttlMs });
}

function client(
  endpoint: Partial<GrpcEndpointOptions>,
  options: { impersonate?: boolean; ttlMs?: number } = {},
): CaClient {
  const made = new CaClient({
    endpoint: {
      address,
      rootCa: join(stateDir, "root-cert.pem"),
      clusterId: "Kubernetes",
      headers: new Map(),
      ...endpoint,
    },
    secretTtlMs: options.ttlMs ?? 24 * 3_600_000,
    impersonate: options.impersonate ?? true,
    tls,
    clock: systemClock,
    log,
  });
  clients.push(made);
  return made;
}

const signal = new AbortController().signal;
const ask = (who: CaClient, identity: SpiffeIdentity) => who.fetchCertificate(identity, signal);

test("a node proxy gets a certificate for a workload of its node, with the root to trust", async () => {
  const certificate = await ask(client({ authToken: await tokenFor(nodeToken) }), web);
  assert.deepEqual(certificate.leaf.uriSans, ["spiffe://cluster.local/ns/shop/sa/web"]);
  assert.equal(certificate.roots.length, 1);
  const leaf = new X509Certificate(certificate.leaf.der);
  const root = new X509Certificate(readFileSync(join(stateDir, "root-cert.pem")));
  assert.equal(leaf.verify(root.publicKey), true);
  assert.equal(leaf.checkIssued(root), true);
  const hours = (certificate.leaf.notAfterMs - Date.now()) / 3_600_000;
  assert.ok(hours > 23.9 && hours <= 24, String(hours));
  assert.equal(outcomes.at(-1), "issued");
});

test("the requested life is honored up to the maximum", async () => {
  const authToken = await tokenFor(nodeToken);
  const short = await ask(client({ authToken }, { ttlMs: 600_000 }), web);
  const lifeMs = short.leaf.notAfterMs - Date.now();
  assert.ok(lifeMs > 590_000 && lifeMs <= 600_000, String(lifeMs));
  const long = await ask(client({ authToken }, { ttlMs: 365 * 24 * 3_600_000 }), web);
  assert.ok(long.leaf.notAfterMs - Date.now() <= 24 * 3_600_000);
  const none = await ask(client({ authToken }, { ttlMs: 0 }), web);
  assert.ok(none.leaf.notAfterMs - Date.now() > 23 * 3_600_000);
});

test("others get their own identity only", async () => {
  const authToken = await tokenFor({ namespace: "shop", serviceAccount: "waypoint" });
  const own = client({ authToken }, { impersonate: false });
  const certificate = await ask(own, web);
  assert.deepEqual(certificate.leaf.uriSans, ["spiffe://cluster.local/ns/shop/sa/waypoint"]);
  await refused(
    client({ authToken }),
    web,
    "request impersonation authentication failure",
    /not trusted/,
  );
});

async function refused(
  who: CaClient,
  identity: SpiffeIdentity,
  details: string,
  logged: RegExp,
): Promise<void> {
  lines = [];
  await assert.rejects(ask(who, identity), {
    code: "identity-unavailable",
    message: `identity error: signing gRPC error (UNAUTHENTICATED): ${details}`,
  });
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", logged);
  assert.match(lines[0] ?? "", /\twarn\tca\tcertificate request refused\tpeer="127\.0\.0\.1:/);
  assert.equal(outcomes.at(-1), "refused");
}

test("an identity of another node is refused: opaque to the caller, clear in the log", async () => {
  const authToken = await tokenFor(nodeToken);
  await refused(
    client({ authToken }),
    orders,
    "request impersonation authentication failure",
    /no workload with identity .*orders runs on node/,
  );
  const other = await tokenFor({ ...nodeToken, node: "node2" });
  await refused(
    client({ authToken: other }),
    web,
    "request impersonation authentication failure",
    /node \\"node2\\"/,
  );
});

test("bad tokens are refused: opaque to the caller, clear in the log", async () => {
  const details = "request authenticate failure";
  const expired = await tokenFor(nodeToken, 60_000, Date.now() - 120_000);
  await refused(client({ authToken: expired }), web, details, /token has expired/);
  const early = await tokenFor(nodeToken, 600_000, Date.now() + 120_000);
  await refused(client({ authToken: early }), web, details, /not valid yet/);
  const foreignKey = loadOrCreateKey(join(folder, "foreign.pem"));
  const foreign = await signToken(foreignKey, nodeToken, { issuedAtMs: Date.now(), ttlMs: 60_000 });
  await refused(client({ authToken: foreign }), web, details, /signed by another key/);
  await refused(client({ authToken: "nonsense" }), web, details, /cannot be read/);
  await refused(client({}), web, details, /no authorization header/);
});

test("a token file is read again for every call, and an empty one is an error on our side", async () => {
  const path = join(folder, "token");
  writeFileSync(path, "");
  const rotating = client({ authToken: path });
  await assert.rejects(ask(rotating, web), /identity error: .*the token is empty/);
  writeFileSync(path, `${await tokenFor(nodeToken)}\n`);
  await ask(rotating, web);
});

test("a request that proves no key is an error of its sender", async () => {
  const roots = readFileSync(join(stateDir, "root-cert.pem"));
  const raw = new Client(
    address.replace("https://127.0.0.1", "localhost"),
    credentials.createSsl(roots),
  );
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${await tokenFor(nodeToken)}`);
  const { path, requestSerialize, responseDeserialize } = createCertificateMethod;
  const request = create(IstioCertificateRequestSchema, { csr: "hello" });
  const error = await new Promise<{ code?: number; details?: string } | null>((resolve) =>
    raw.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, resolve),
  );
  raw.close();
  assert.equal(error?.code, status.INVALID_ARGUMENT);
  assert.match(error?.details ?? "", /CSR signing error/);
  assert.equal(outcomes.at(-1), "failed");
});

test("a server with another root, or with another name, is not believed", async () => {
  const authToken = await tokenFor(nodeToken);
  const rootCa = newRoot().certificate.pem;
  await assert.rejects(ask(client({ authToken, rootCa }), web), /identity error: .*UNAVAILABLE/);
  const port = address.split(":").at(-1);
  const wrongName = { authToken, address: `https://127.0.0.2:${port}` };
  await assert.rejects(ask(client(wrongName), web), /identity error: .*UNAVAILABLE/);
});

test("the alternative host name is accepted beside that of the address", async () => {
  const authToken = await tokenFor(nodeToken);
  const port = address.split(":").at(-1);
  const named = client({
    authToken,
    address: `https://ip6-localhost.invalid:${port}`,
    altHostname: "istiod.istio-system.svc",
  });
  await assert.rejects(ask(named, web), /UNAVAILABLE/);
  const local = client({ authToken, address: `https://localhost:${port}` });
  await ask(local, web);
});

test("the channel follows the root file, and survives one that cannot be read", async () => {
  const path = join(folder, "roots.pem");
  writeFileSync(path, newRoot().certificate.pem);
  const following = client({ authToken: await tokenFor(nodeToken), rootCa: path });
  await assert.rejects(ask(following, web), /UNAVAILABLE/);
  writeFileSync(path, readFileSync(join(stateDir, "root-cert.pem")));
  await ask(following, web);
  writeFileSync(path, "broken");
  await ask(following, web);
});

test("a restart finds the same root, and keys stay private", () => {
  const again = open();
  assert.equal(again.rootsPem, readFileSync(join(stateDir, "root-cert.pem"), "utf8"));
  for (const file of ["ca-key.pem", TOKEN_KEY_FILE])
    assert.equal(statSync(join(stateDir, file)).mode & 0o777, 0o600, file);
});

test("further roots are handed out and published at once; a broken file changes nothing", async () => {
  const authToken = await tokenFor(nodeToken);
  const who = client({ authToken });
  const own = readFileSync(join(stateDir, "root-cert.pem"), "utf8");
  const next = newRoot("next").certificate.pem;
  const trusted = join(stateDir, "trusted-roots.pem");
  const rootsNow = async (): Promise<string> =>
    (await ask(who, web)).roots.map(({ pem }) => pem).join("");
  writeFileSync(trusted, next + own);
  assert.equal(await rootsNow(), own + next);
  assert.equal(readFileSync(join(stateDir, "root-cert.pem"), "utf8"), own + next);
  assert.equal(open().rootsPem, own + next);
  writeFileSync(trusted, "hello");
  assert.equal(await rootsNow(), own + next);
  assert.throws(open, /Cannot read certificates in ".*trusted-roots\.pem"/);
  rmSync(trusted);
  assert.equal(await rootsNow(), own);
});

test("a state directory that makes no sense is refused by name", () => {
  const broken = join(folder, "broken");
  const at = (): ControlPlaneAuthority =>
    openAuthority({ stateDir: broken, clock: systemClock, log });
  at();
  writeFileSync(join(broken, "ca-cert.pem"), newRoot().certificate.pem);
  assert.throws(at, /ca-cert\.pem": it does not belong to the key/);
  writeFileSync(join(broken, "ca-cert.pem"), "hello");
  assert.throws(at, /Cannot read certificates in ".*ca-cert\.pem"/);
});

test("the serving certificate names the service, localhost, the machine and the addresses", () => {
  const { certificateChain } = open().servingCertificate(
    servingNames("0.0.0.0", ["10.1.2.3", "fd00::1"], "ControlPlane"),
  );
  const certificate = new X509Certificate(certificateChain);
  for (const name of [
    "istiod.istio-system.svc",
    "istiod.istio-system.svc.cluster.local",
    "localhost",
    "controlplane",
  ])
    assert.equal(certificate.checkHost(name, { subject: "never" }), name);
  for (const ip of ["127.0.0.1", "::1", "10.1.2.3", "fd00::1"])
    assert.equal(certificate.checkIP(ip), ip);
  assert.equal(certificate.checkIP("10.9.9.9"), undefined);
  // A machine's name is a name only where it can be one; on a chosen address it is not served.
  assert.ok(servingNames("0.0.0.0", [], "node1.example.com").dns.includes("node1.example.com"));
  for (const odd of ["", "my machine", "-x", "(none)"])
    assert.ok(!servingNames("0.0.0.0", [], odd).dns.includes(odd), odd);
  assert.ok(!servingNames("10.1.2.3", [], "node1").dns.includes("node1"));
});
