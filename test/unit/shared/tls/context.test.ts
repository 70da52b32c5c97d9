import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { createSecureContext } from "node:tls";
import { TlsContext, type TlsContextOptions } from "../../../../src/shared/tls/context.ts";
import { testKeyPair } from "../../../support/hbone.ts";

const pair = testKeyPair();
const good: TlsContextOptions = {
  role: "server",
  chainPem: pair.cert.toString(),
  keyPem: pair.key.toString(),
  rootPems: [pair.cert.toString()],
  minVersion: "TLSv1.3",
  suites13: ["TLS_AES_256_GCM_SHA384"],
  suites12: [],
  groups: "X25519",
};
const otherKey = generateKeyPairSync("ec", { namedCurve: "P-256" })
  .privateKey.export({ type: "pkcs8", format: "pem" })
  .toString();

const refused: readonly (readonly [name: string, change: Partial<TlsContextOptions>, RegExp])[] = [
  ["no certificate", { chainPem: "" }, /cannot use certificate/],
  ["no key", { keyPem: "no key" }, /cannot use private key/],
  ["another certificate's key", { keyPem: otherKey }, /cannot use private key/],
  ["nobody to trust", { rootPems: [] }, /no root certificate to trust/],
  ["an unknown group", { groups: "X25519:none" }, /cannot use groups X25519:none/],
  ["an unknown suite", { suites13: ["TLS_NONE"] }, /cannot use suites/],
];

for (const [name, change, reason] of refused)
  test(`refused: ${name}; the error shows no key, and nothing is left for an unrelated call to stumble over`, () => {
    assert.throws(
      () => new TlsContext({ ...good, ...change }),
      (error: Error) => {
        assert.match(error.message, reason);
        assert.doesNotMatch(error.message, /PRIVATE|BEGIN/);
        return true;
      },
    );
    assert.ok(createSecureContext({ cert: pair.cert, key: pair.key }));
  });

test("both roles, and TLS 1.2 beside 1.3", () => {
  for (const role of ["client", "server"] as const) {
    assert.ok(new TlsContext({ ...good, role }).address > 0);
    const suites12 = ["ECDHE-ECDSA-AES256-GCM-SHA384"];
    assert.ok(new TlsContext({ ...good, role, minVersion: "TLSv1.2", suites12 }).address > 0);
  }
});
