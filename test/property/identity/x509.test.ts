import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { readRevocationList } from "../../../src/shared/identity/crl.ts";
import { createSigningRequest, readSigningRequest } from "../../../src/shared/identity/csr.ts";
import { issueLeaf } from "../../../src/shared/identity/issue.ts";
import { acceptedPeer } from "../../../src/shared/identity/peer.ts";
import { formatSpiffe, parseSpiffe } from "../../../src/shared/identity/spiffe.ts";
import { peerUriSans, readCertificate } from "../../../src/shared/identity/x509.ts";
import { newRoot } from "../../unit/shared/identity/pki.ts";

const root = newRoot();
const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });

/** Printable ASCII without the blank: what a URI can hold at most, with every separator that printed forms use. */
const uriText = fc.string({
  unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
  minLength: 1,
  maxLength: 60,
});
const hourMs = 3_600_000;
const instantMs = fc.integer({ min: 0, max: 4_000_000_000 }).map((seconds) => seconds * 1000);

test("names, serial and dates come back as they were put in, whatever separators they hold", () => {
  fc.assert(
    fc.property(fc.array(uriText, { minLength: 1, maxLength: 5 }), instantMs, (uris, startMs) => {
      const validity = { notBeforeMs: startMs, notAfterMs: startMs + hourMs };
      const leaf = issueLeaf(root, publicKey, { uris, dns: ["not.a.uri"] }, validity);
      assert.deepEqual(leaf.uriSans, uris);
      assert.deepEqual(peerUriSans(leaf.der), uris);
      assert.equal(leaf.notBeforeMs, validity.notBeforeMs);
      assert.equal(leaf.notAfterMs, validity.notAfterMs);
      const judged = new X509Certificate(leaf.der);
      assert.equal(judged.serialNumber, leaf.serialHex);
      assert.equal(Date.parse(judged.validTo), leaf.notAfterMs);
      assert.equal(BigInt(`0x${leaf.serialHex}`), BigInt(leaf.serialDecimal));
      assert.ok(judged.verify(createPublicKey(root.privateKey)));
    }),
    { numRuns: 60 },
  );
});

test("a certificate cannot smuggle a name in another one", () => {
  const wanted = "spiffe://cluster.local/ns/shop/sa/web";
  fc.assert(
    fc.property(uriText, uriText, (before, after) => {
      for (const uri of [
        `${before}${wanted}`,
        `${wanted}${after}`,
        `${before}, URI:${wanted}`.replaceAll(" ", ""),
      ]) {
        const leaf = issueLeaf(
          root,
          publicKey,
          { uris: [uri] },
          { notBeforeMs: 0, notAfterMs: hourMs },
        );
        assert.equal(acceptedPeer(peerUriSans(leaf.der), [wanted]).kind, "refused", uri);
      }
    }),
    { numRuns: 40 },
  );
});

const sample = issueLeaf(
  root,
  publicKey,
  { uris: ["spiffe://td/ns/a/sa/b"] },
  { notBeforeMs: 0, notAfterMs: hourMs },
);

/** An Error, and soon: no crash of another kind, no endless loop. */
function readsOrThrowsError(read: () => unknown): void {
  try {
    read();
  } catch (thrown) {
    assert.ok(thrown instanceof Error);
    assert.notEqual(thrown.name, "TypeError", thrown.stack ?? "");
  }
}

test("a certificate cut at any byte is refused", () => {
  for (let length = 0; length < sample.der.length; length++)
    assert.throws(() => readCertificate(sample.der.subarray(0, length)));
});

test("changed and random bytes are read or refused, never a crash", () => {
  const position = fc.nat(sample.der.length - 1);
  fc.assert(
    fc.property(fc.array(fc.tuple(position, fc.nat(255)), { maxLength: 4 }), (changes) => {
      const der = Buffer.from(sample.der);
      for (const [at, value] of changes) der[at] = value;
      readsOrThrowsError(() => readCertificate(der));
      readsOrThrowsError(() => peerUriSans(der));
      readsOrThrowsError(() => readRevocationList(der));
    }),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      readsOrThrowsError(() => readCertificate(bytes));
      readsOrThrowsError(() => readRevocationList(bytes));
    }),
    { numRuns: 1000 },
  );
});

test("a request with any changed byte is not taken for a proof of possession", async () => {
  const { csrPem } = await createSigningRequest(
    parseSpiffe("spiffe://td/ns/a/sa/b") ?? assert.fail(),
  );
  const der = Buffer.from(csrPem.replace(/-----[^-]+-----/g, ""), "base64");
  const toPem = (bytes: Buffer): string =>
    `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
  const original = readSigningRequest(csrPem).publicKey;
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const changed = Buffer.from(der);
      changed[at] = (changed[at] ?? 0) ^ flip;
      let read: ReturnType<typeof readSigningRequest> | undefined;
      readsOrThrowsError(() => {
        read = readSigningRequest(toPem(changed));
      });
      // A change that leaves the signed part as it was (say in how a length is written) may pass; never with another key.
      if (read !== undefined) assert.ok(read.publicKey.equals(original));
    }),
    { numRuns: 400 },
  );
});

test("a SPIFFE name is read exactly as it is written", () => {
  const part = fc.string({
    unit: fc.constantFrom(..."abcxyz019-._".split("")),
    minLength: 1,
    maxLength: 12,
  });
  fc.assert(
    fc.property(part, part, part, (trustDomain, namespace, serviceAccount) => {
      const identity = { trustDomain, namespace, serviceAccount };
      assert.deepEqual(parseSpiffe(formatSpiffe(identity)), identity);
    }),
  );
});
