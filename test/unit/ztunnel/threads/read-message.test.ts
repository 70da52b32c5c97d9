import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { test } from "node:test";
import {
  readFromThread,
  readMainAnswer,
  readThreadAnswer,
  readToThread,
} from "../../../../src/ztunnel/threads/read-message.ts";

const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const identity = { trustDomain: "cluster.local", namespace: "shop", serviceAccount: "web" };
const peer = { ip: "10.0.0.1", port: 40000 };
const board = new SharedArrayBuffer(20);
const info = { name: "web", namespace: "shop", serviceAccount: "web" };
const certificate = { identity, chain: "chain", roots: "roots", key: privateKey };

function call(request: unknown): unknown {
  return { kind: "call", call: 7, request };
}

const toThread: readonly unknown[] = [
  { kind: "update", update: {} },
  { kind: "update", update: { addresses: [], removedPolicies: ["shop/a"] } },
  { kind: "certificate", certificate },
  { kind: "certificate-gone", identity },
  { kind: "log-filter", directives: "info,access=debug" },
  { kind: "stop-pod", pod: 0 },
  { kind: "settle" },
  { kind: "end" },
  {
    kind: "take",
    pod: 3,
    accepted: { kind: "session", fd: 21, peer: { ip: "10.0.0.9", port: 40_000 } },
  },
  { kind: "take", pod: 3, accepted: { kind: "captured", fd: 21, peer } },
  call({ kind: "start-pod", pod: 1, info, place: { kind: "host" }, board }),
  call({
    kind: "start-pod",
    pod: 1,
    info,
    place: { kind: "namespace", fd: 20, label: "of pod" },
    board,
  }),
  call({ kind: "drain-pod", pod: 1, deadlineMs: 5000.5 }),
  call({ kind: "serves", pod: 1, peer: { ip: "10.0.0.1", port: 40000 } }),
  call({ kind: "metrics" }),
  call({ kind: "connections" }),
  call({ kind: "decisions", count: 50 }),
  { kind: "answer", call: 0, outcome: { kind: "done", value: null } },
  { kind: "answer", call: 0, outcome: { kind: "failed", code: "system-failed", message: "m" } },
];

const fromThread: readonly unknown[] = [
  { kind: "up" },
  { kind: "lines", text: "one\ntwo\n" },
  {
    kind: "hand-over",
    pod: 3,
    thread: 0,
    accepted: { kind: "session", fd: 21, peer: { ip: "10.0.0.9", port: 40_000 } },
  },
  call({ kind: "certificate", identity, priority: "real-time" }),
  call({ kind: "demand", key: "network/10.0.0.1" }),
  { kind: "answer", call: 3, outcome: { kind: "done", value: [1, 2] } },
];

test("every message of ours is read as it is", () => {
  for (const message of toThread) assert.equal(readToThread(message), message);
  for (const message of fromThread) assert.equal(readFromThread(message), message);
});

/** The message with something else in the place of each thing in it, one at a time. */
function* damaged(message: unknown): Generator<unknown> {
  yield undefined;
  yield [message];
  // A key is looked at as a whole; what stands in a list is the sender's own data.
  if (typeof message !== "object" || message === null || Array.isArray(message)) return;
  if (message === privateKey || message === board) return;
  yield { ...message, surplus: 1 };
  for (const [name, value] of Object.entries(message)) {
    const { [name]: _gone, ...rest } = message as Record<string, unknown>;
    if (name !== "addresses" && name !== "removedPolicies") yield rest;
    if (name !== "value") for (const other of inPlaceOf(value)) yield { ...rest, [name]: other };
  }
}

function* inPlaceOf(value: unknown): Generator<unknown> {
  yield typeof value === "string" ? 1 : "text";
  if (typeof value === "number") yield -1;
  if (!Array.isArray(value)) yield* damaged(value);
}

test("a message with anything missing, wrong or beside it is refused", () => {
  let refused = 0;
  for (const [messages, read] of [
    [toThread, readToThread],
    [fromThread, readFromThread],
  ] as const)
    for (const message of messages)
      for (const damage of damaged(message)) {
        assert.throws(() => read(damage), TypeError, JSON.stringify(damage));
        refused++;
      }
  assert.ok(refused > 200, `only ${refused} tried`);
});

test("what goes one way is not taken for what goes the other way", () => {
  assert.throws(() => readFromThread({ kind: "end" }), /"end" is not one of ours/);
  assert.throws(() => readToThread({ kind: "up" }), /"up" is not one of ours/);
  assert.throws(() => readToThread(call({ kind: "demand", key: "k" })), TypeError);
});

test("a public key is no key, and what is refused is not shown", () => {
  const secret = randomBytes(8).toString("hex");
  const wrong = { kind: "certificate", certificate: { ...certificate, key: publicKey } };
  assert.throws(() => readToThread(wrong), TypeError);
  const leaking = { kind: "certificate", certificate: { ...certificate, key: secret } };
  assert.throws(
    () => readToThread(leaking),
    (error: Error) => !error.message.includes(secret),
  );
});

test("an answer is of the kind of its question", () => {
  assert.equal(readThreadAnswer("serves", true), true);
  assert.deepEqual(readThreadAnswer("metrics", []), []);
  assert.equal(readMainAnswer("demand", null), null);
  assert.throws(() => readThreadAnswer("serves", null), /answer to serves/);
  assert.throws(() => readThreadAnswer("decisions", {}), TypeError);
  assert.throws(() => readMainAnswer("certificate", null), TypeError);
});
