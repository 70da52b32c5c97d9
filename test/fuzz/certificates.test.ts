/**
 * DER and PEM from outside: certificates of peers, signing requests, revocation lists. Each is read or refused with an
 * Error; names come from the extension alone and never from other text; nothing takes long. The first octet chooses.
 */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readRevocationLists, revokedInChain } from "../../src/shared/identity/crl.ts";
import { createSigningRequest, readSigningRequest } from "../../src/shared/identity/csr.ts";
import { issueIntermediate, issueLeaf } from "../../src/shared/identity/issue.ts";
import { trustedPeer } from "../../src/shared/identity/peer.ts";
import { toPem } from "../../src/shared/identity/pem.ts";
import { peerUriSans, readCertificate, readCertificates } from "../../src/shared/identity/x509.ts";
import { aroundNow, newRoot, spiffe } from "../unit/shared/identity/pki.ts";
import { fuzz } from "./harness.ts";

const root = newRoot();
const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const leaf = issueLeaf(root, publicKey, { uris: [spiffe("shop/web")] }, aroundNow());
const middle = issueIntermediate(root, publicKey, "middle", aroundNow());

function readNames(der: Buffer): string {
  const names = peerUriSans(der);
  assert.ok(names.every((name) => typeof name === "string" && der.includes(name, 0, "latin1")));
  return trustedPeer(names, "cluster.local").kind;
}

const readers: readonly ((bytes: Buffer) => string)[] = [
  readNames,
  (bytes) => {
    const { uriSans, pem } = readCertificate(bytes);
    assert.equal(readCertificates(pem).length, 1);
    return `certificate ${uriSans.length}`;
  },
  (bytes) => `request ${readSigningRequest(toPem("CERTIFICATE REQUEST", bytes)).uriSans.length}`,
  (bytes) => {
    const lists = readRevocationLists(bytes);
    return `lists ${lists.length} ${revokedInChain([leaf.der, root.certificate.der], lists)}`;
  },
  (bytes) => `text ${readCertificates(bytes.toString("latin1")).length}`,
];

function run(input: Buffer): string {
  const which = (input[0] ?? 0) % readers.length;
  try {
    return `${which} ${readers[which]?.(input.subarray(1))}`;
  } catch (thrown) {
    if (!(thrown instanceof Error) || thrown instanceof assert.AssertionError) throw thrown;
    // Neither a stack overflow nor a slip of our own.
    assert.ok(!(thrown instanceof TypeError || thrown instanceof ReferenceError), thrown.stack);
    assert.ok(!thrown.message.includes("call stack"), thrown.stack);
    return `${which} ${thrown.message.replace(/\d+/g, "N").slice(0, 50)}`;
  }
}

const identity = { trustDomain: "cluster.local", namespace: "shop", serviceAccount: "web" };
const { csrPem } = await createSigningRequest(identity);
const request = Buffer.from(csrPem.replace(/-----.*-----/g, ""), "base64");
const framed = (which: number, bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([which]), bytes]);

fuzz({
  name: "certificates",
  run,
  seeds: [
    framed(0, leaf.der),
    framed(0, middle.der),
    framed(1, leaf.der),
    framed(1, root.certificate.der),
    framed(2, request),
    framed(4, Buffer.from(leaf.pem + middle.pem)),
  ],
  dictionary: [
    Buffer.from("3080", "hex"),
    Buffer.from("30840fffffff", "hex"),
    Buffer.from("30023000", "hex"),
    Buffer.from("0603551d11", "hex"),
    Buffer.from("a303", "hex"),
    "-----BEGIN CERTIFICATE-----",
  ],
  maxBytes: 2048,
});
