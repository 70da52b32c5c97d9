import assert from "node:assert/strict";
import { test } from "node:test";
import { jitteredMs, nextBackoffMs } from "../../../../src/shared/base/backoff.ts";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { durationMs, integer, oneOf } from "../../../../src/shared/base/env.ts";
import {
  asMeshError,
  describeError,
  errorCodes,
  MeshError,
} from "../../../../src/shared/base/errors.ts";
import { Readiness } from "../../../../src/shared/base/readiness.ts";

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

test("backoff doubles to its limit; jitter spreads around it", () => {
  const options = { initialMs: 10, maxMs: 35, jitter: 0.2 };
  const first = nextBackoffMs(options, undefined);
  const second = nextBackoffMs(options, first);
  assert.deepEqual([first, second, nextBackoffMs(options, second)], [10, 20, 35]);
  assert.equal(
    jitteredMs(options, 100, () => 0),
    80,
  );
  assert.equal(
    jitteredMs(options, 100, () => 0.5),
    100,
  );
});

const durations: readonly (readonly [string, number | undefined])[] = [
  ["30s", 30_000],
  ["5m", 300_000],
  ["1h30m", 5_400_000],
  ["250ms", 250],
  ["0s", 0],
  ["", undefined],
  ["30", undefined],
  ["-1s", undefined],
  ["1.5s", undefined],
  ["5 m", undefined],
  ["5parsecs", undefined],
];
for (const [text, expected] of durations) {
  test(`duration ${JSON.stringify(text)}`, () => {
    if (expected === undefined) assert.throws(() => durationMs(text), RangeError);
    else assert.equal(durationMs(text), expected);
  });
}

test("numbers and choices", () => {
  assert.equal(integer(1, 10)("7"), 7);
  for (const text of ["0", "11", "1e1", "0x1", " 1", "1.0", ""])
    assert.throws(() => integer(1, 10)(text), RangeError, text);
  assert.equal(oneOf("plain", "json")("JSON"), "json");
  assert.throws(() => oneOf("plain", "json")("xml"), /expected plain or json/);
});

test("the clock: timers fire once, a cancelled one never, a sleep ends with its signal", async () => {
  const fired: string[] = [];
  const cancelled = systemClock.after(1, () => fired.push("cancelled"));
  cancelled.cancel();
  systemClock.after(5, () => fired.push("after"));
  await systemClock.sleep(30);
  assert.deepEqual(fired, ["after"]);
  const controller = new AbortController();
  const sleeping = systemClock.sleep(60_000, controller.signal);
  controller.abort(new Error("woken"));
  await assert.rejects(sleeping, /woken/);
  await assert.rejects(systemClock.sleep(1, AbortSignal.abort(new Error("before"))), /before/);
});
