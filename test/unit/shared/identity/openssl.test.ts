import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createSigningRequest, readSigningRequest } from "../../../../src/shared/identity/csr.ts";
import { issueLeaf, issueRoot } from "../../../../src/shared/identity/issue.ts";

const folder = mkdtempSync(join(tmpdir(), "ambit-openssl-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function openssl(...args: string[]): string {
  return execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

function save(text: string): string {
  const path = join(folder, randomUUID());
  writeFileSync(path, text);
  return path;
}

const identity = { trustDomain: "cluster.local", namespace: "shop", serviceAccount: "web" };
const uri = "spiffe://cluster.local/ns/shop/sa/web";
const hourMs = 3_600_000;
const validity = { notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + hourMs };
const rootKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const root = {
  certificate: issueRoot(rootKey, "ambit", {
    ...validity,
    notAfterMs: validity.notAfterMs + 30 * 365 * 24 * hourMs,
  }),
  privateKey: rootKey,
};

test("openssl accepts the request's signature and sees one critical URI name and no subject", async () => {
  const { csrPem, privateKey } = await createSigningRequest(identity);
  const path = save(csrPem);
  openssl("req", "-verify", "-noout", "-in", path);
  const text = openssl("req", "-noout", "-text", "-in", path);
  assert.match(text, /Subject: *\n/);
  assert.match(
    text,
    /X509v3 Subject Alternative Name: critical\s+URI:spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web\n/,
  );
  assert.match(text, /NIST CURVE: P-256/);
  assert.match(text, /Signature Algorithm: ecdsa-with-SHA256/);
  const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  assert.match(key, /^-----BEGIN PRIVATE KEY-----/);
});

test("openssl verifies a leaf for both roles of TLS and prints the extensions", async () => {
  const { csrPem } = await createSigningRequest(identity);
  const leaf = issueLeaf(root, readSigningRequest(csrPem).publicKey, { uris: [uri] }, validity);
  const rootPath = save(root.certificate.pem);
  const leafPath = save(leaf.pem);
  for (const purpose of ["sslserver", "sslclient"])
    assert.match(
      openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", rootPath, leafPath),
      /: OK\n$/,
    );
  const text = openssl("x509", "-noout", "-text", "-in", leafPath);
  assert.match(
    text,
    /Alternative Name: critical\s+URI:spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web\n/,
  );
  assert.match(text, /Key Usage: critical\s+Digital Signature, Key Encipherment\n/);
  assert.match(
    text,
    /Extended Key Usage: *\n\s+TLS Web Server Authentication, TLS Web Client Authentication\n/,
  );
  assert.match(text, /Basic Constraints: critical\s+CA:FALSE\n/);
  assert.match(text, /Subject Key Identifier/);
  assert.match(text, /Authority Key Identifier/);
  assert.equal(
    openssl("x509", "-noout", "-serial", "-in", leafPath).trim(),
    `serial=${leaf.serialHex}`,
  );
});

test("openssl reads the root as a certificate authority, with a date after 2049", () => {
  const path = save(root.certificate.pem);
  const text = openssl("x509", "-noout", "-text", "-in", path);
  assert.match(text, /Basic Constraints: critical\s+CA:TRUE\n/);
  assert.match(text, /Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
  assert.match(text, /Not After : .* 205\d GMT/);
  assert.match(openssl("verify", "-x509_strict", "-CAfile", path, path), /: OK\n$/);
});

test("requests made by openssl are read, and a broken signature is refused", () => {
  const key = join(folder, "key.pem");
  openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key);
  const pem = openssl(
    "req",
    "-new",
    "-key",
    key,
    "-subj",
    "/",
    "-addext",
    `subjectAltName=critical,URI:${uri}`,
  );
  assert.deepEqual(readSigningRequest(pem).uriSans, [uri]);
  const body = pem.split("\n").slice(1, -2).join("");
  const bytes = Buffer.from(body, "base64");
  bytes[bytes.length - 3] = (bytes[bytes.length - 3] ?? 0) ^ 1;
  const broken = `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
  assert.throws(() => readSigningRequest(broken), /does not fit its key/);
});

test("weak and strange keys are refused", () => {
  for (const args of [["rsa:1024"], ["ec", "-pkeyopt", "ec_paramgen_curve:secp521r1"]]) {
    const pem = openssl(
      "req",
      "-new",
      "-nodes",
      "-newkey",
      ...args,
      "-keyout",
      "/dev/null",
      "-subj",
      "/",
    );
    assert.throws(() => readSigningRequest(pem), /is not accepted/);
  }
});
