import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { readAnswer } from "../../../../src/shared/identity/ca-client.ts";
import { createSigningRequest, readSigningRequest } from "../../../../src/shared/identity/csr.ts";
import { issueLeaf } from "../../../../src/shared/identity/issue.ts";
import { parseSpiffe } from "../../../../src/shared/identity/spiffe.ts";
import { tlsSettings } from "../../../../src/shared/identity/tls-context.ts";
import { refreshAtMs } from "../../../../src/shared/identity/workload-certificate.ts";
import { aroundNow, newIntermediate, newRoot } from "./pki.ts";

const uri = "spiffe://cluster.local/ns/shop/sa/web";
const identity = parseSpiffe(uri) ?? assert.fail();
const shared = {
  impersonate: true,
  tls: tlsSettings({ tls12: false, compliancePolicy: undefined }),
};
const root = newRoot();
const middle = newIntermediate(root);
const { csrPem, privateKey } = await createSigningRequest(identity);
const { publicKey } = readSigningRequest(csrPem);
const leafOf = (issuer = root, uris = [uri]) => issueLeaf(issuer, publicKey, { uris }, aroundNow());
const read = (chain: string[], options = shared) =>
  readAnswer(chain, identity, privateKey, options);
const rootPem = root.certificate.pem;

test("leaf and root", () => {
  const certificate = read([leafOf().pem, rootPem]);
  assert.deepEqual(certificate.leaf.uriSans, [uri]);
  assert.deepEqual(certificate.intermediates, []);
  assert.equal(certificate.roots.length, 1);
  certificate.clientContext();
  certificate.acceptor();
  assert.equal(certificate.clientContext(), certificate.clientContext());
  const { notBeforeMs, notAfterMs } = certificate.leaf;
  assert.equal(refreshAtMs(certificate), (notBeforeMs + notAfterMs) / 2);
});

test("intermediates stand between, and the last element may hold several roots", () => {
  const other = newRoot("other").certificate.pem;
  const { intermediates, roots } = read([
    leafOf(middle).pem,
    middle.certificate.pem,
    newIntermediate(root).certificate.pem,
    rootPem + other,
  ]);
  assert.equal(intermediates.length, 2);
  assert.deepEqual(
    roots.map(({ pem }) => pem),
    [rootPem, other],
  );
});

const refused: readonly [string, () => string[], RegExp][] = [
  ["an empty answer", () => [], /identity error: the certificate authority sent no certificate$/],
  ["a leaf without a root", () => [leafOf().pem], /identity error: no root certificate present$/],
  [
    "another identity",
    () => [leafOf(root, [`${uri}2`]).pem, rootPem],
    /SAN error: asked for ".*web", got ".*web2"/,
  ],
  ["the identity not first", () => [leafOf(root, [`${uri}2`, uri]).pem, rootPem], /SAN error/],
  ["no identity", () => [leafOf(root, []).pem, rootPem], /got "none"/],
  ["an unreadable leaf", () => ["hello", rootPem], /no certificate in PEM text/],
  ["unreadable roots", () => [leafOf().pem, "hello"], /no certificate in PEM text/],
  [
    "another key",
    () => {
      const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey;
      return [issueLeaf(root, other, { uris: [uri] }, aroundNow()).pem, rootPem];
    },
    /does not belong to the key/,
  ],
];

for (const [name, chain, reason] of refused) {
  test(`${name} is refused`, () => {
    assert.throws(() => read(chain()), reason);
  });
}

test("in dedicated mode the authority decides about the name", () => {
  const named = leafOf(root, [`${uri}2`]).pem;
  const certificate = read([named, rootPem], { ...shared, impersonate: false });
  assert.deepEqual(certificate.leaf.uriSans, [`${uri}2`]);
});

test("nothing about a certificate shows its private key", () => {
  const certificate = read([leafOf().pem, rootPem]);
  const { d = "" } = privateKey.export({ format: "jwk" });
  const secret = Buffer.from(d, "base64url");
  const shown = JSON.stringify(certificate);
  assert.equal(shown.includes("PRIVATE KEY"), false);
  assert.equal(shown.includes(d), false);
  assert.equal(shown.includes(secret.toString("base64")), false);
  assert.ok(
    new X509Certificate(certificate.leaf.der).publicKey.equals(createPublicKey(privateKey)),
  );
});
