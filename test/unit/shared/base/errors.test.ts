import assert from "node:assert/strict";
import { test } from "node:test";
import { durationMs, integer, oneOf } from "../../../../src/shared/base/env.ts";
import {
  asMeshError,
  describeError,
  errorCodes,
  MeshError,
} from "../../../../src/shared/base/errors.ts";

test("every code of the catalogue says whose fault it is, whether to retry, and its flag", () => {
  assert.equal(errorCodes.length, 22);
  for (const code of errorCodes) {
    const error = new MeshError(code, "x");
    assert.ok(["downstream", "upstream", "internal"].includes(error.source), code);
    assert.ok(["yes", "no", "if-reused"].includes(error.retry), code);
    assert.notEqual(error.flag, "-", code);
  }
});

const flags: readonly (readonly [ConstructorParameters<typeof MeshError>[0], string])[] = [
  ["policy-denied", "DENY"],
  ["policy-changed", "DENY"],
  ["connect-timeout-hbone", "NETWORK_POLICY"],
  ["tls-failed", "TLS_FAILURE"],
  ["h2-handshake-failed", "H2_HANDSHAKE_FAILURE"],
  ["identity-unavailable", "IDENTITY_ERROR"],
  ["certificate-revoked", "CERT_REVOKED"],
  ["drained", "CONNECT"],
  ["io-failed", "CONNECT"],
];
for (const [code, flag] of flags) {
  test(`${code} is counted as ${flag}`, () => {
    assert.equal(new MeshError(code, "x").flag, flag);
  });
}

test("foreign errors are mapped once, with their causes", () => {
  const cause = new Error("inner");
  const foreign = new Error("outer", { cause });
  const mapped = asMeshError(foreign, "io-failed", "io error");
  assert.equal(mapped.message, "io error: outer: inner");
  assert.equal(mapped.code, "io-failed");
  assert.equal(asMeshError(mapped, "drained"), mapped);
  assert.equal(describeError("text"), "text");
});

test("readiness: names of what is missing, sorted, each once", () => {
  const readiness = new Readiness();
  let readyTimes = 0;
  const stop = readiness.onReady(() => {
    readyTimes++;
  });
  const blocks = [readiness.block("b"), readiness.block("a"), readiness.block("a")];
  assert.deepEqual(readiness.pending(), ["a", "b"]);
  for (const block of blocks) block.release();
  for (const block of blocks) block.release();
  assert.equal(readiness.ready, true);
  assert.equal(readyTimes, 1);
  readiness.block("again").release();
  assert.equal(readyTimes, 2);
  stop();
  readiness.block("unheard").release();
  assert.equal(readyTimes, 2);
});
