/** Keys of identity providers: when they are fetched, for how long they are good, what a failure means. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RemoteKeySpec } from "../../../../../src/waypoint/filters/jwt/key-source.ts";
import {
  RemoteKeySets,
  uriParts,
} from "../../../../../src/waypoint/filters/jwt/remote-key-sets.ts";
import type { HttpOutcome } from "../../../../../src/waypoint/filters/upstream-calls.ts";
import { FakeClock } from "../../../../support/clock.ts";
import { ScriptedCalls } from "../../../../support/filters.ts";

const spec: RemoteKeySpec = {
  cluster: "outbound|443||issuer.example",
  uri: "https://issuer.example/keys.json?v=1",
  timeoutMs: 5_000,
  cacheMs: 300_000,
  prefetch: undefined,
  retries: 0,
};
const prefetching: RemoteKeySpec = { ...spec, prefetch: { failedRefetchMs: 1_000 } };

function answer(body: string, status = 200): HttpOutcome {
  return { kind: "answer", answer: { status, fields: [], body: Buffer.from(body) } };
}

const keySet = (secret: string): string =>
  JSON.stringify({ keys: [{ kty: "oct", k: Buffer.from(secret).toString("base64url") }] });

/** Answers from a list; the last one again and again. */
function stage(...outcomes: readonly HttpOutcome[]) {
  const clock = new FakeClock();
  let at = 0;
  const calls = new ScriptedCalls(() => {
    const outcome = outcomes[Math.min(at++, outcomes.length - 1)];
    if (outcome === undefined) throw new Error("no outcome");
    return outcome;
  });
  return { clock, calls, sets: new RemoteKeySets(calls, clock) };
}

async function settle(set: ReturnType<RemoteKeySets["get"]>): Promise<string> {
  const now = set.now();
  if (now.kind !== "pending") return now.kind;
  await now.fetched;
  return set.now().kind;
}

test("keys are fetched when they are first needed, once for all who wait", async () => {
  const { calls, sets } = stage(answer(keySet("a")));
  const set = sets.get(spec);
  assert.equal(calls.httpCalls.length, 0);
  assert.deepEqual(await Promise.all([settle(set), settle(set), settle(sets.get({ ...spec }))]), [
    "keys",
    "keys",
    "keys",
  ]);
  assert.equal(calls.httpCalls.length, 1);
  const [call] = calls.httpCalls;
  assert.deepEqual(
    [call?.cluster, call?.authority, call?.path, call?.method, call?.timeoutMs],
    ["outbound|443||issuer.example", "issuer.example", "/keys.json?v=1", "GET", 5_000],
  );
});

test("keys are good for the cache duration; then a request waits for new ones", async () => {
  const { clock, calls, sets } = stage(answer(keySet("a")), answer(keySet("b")));
  const set = sets.get(spec);
  await settle(set);
  const first = set.atHand();
  await clock.advance(299_999);
  assert.equal(set.now().kind, "keys");
  await clock.advance(1);
  assert.equal(set.now().kind, "pending");
  assert.equal(await settle(set), "keys");
  assert.equal(calls.httpCalls.length, 2);
  assert.notEqual(set.atHand(), first);
});

test("the same keys again stay the same object, so that verified tokens stay known", async () => {
  const { clock, sets } = stage(answer(keySet("a")));
  const set = sets.get(spec);
  await settle(set);
  const first = set.atHand();
  await clock.advance(300_000);
  await settle(set);
  assert.equal(set.atHand(), first);
});

/** What is no set of keys. */
const failures: readonly (readonly [name: string, outcome: HttpOutcome])[] = [
  ["no connection", { kind: "failed", reason: "unavailable", detail: "refused" }],
  ["no cluster", { kind: "failed", reason: "no-cluster", detail: "none" }],
  ["too late", { kind: "failed", reason: "timeout", detail: "5000 ms" }],
  ["an error", answer("", 500)],
  ["a redirect", answer("", 302)],
  ["no JSON", answer("<html>")],
  ["no keys", answer('{"keys":[]}')],
];

for (const [name, outcome] of failures)
  test(`a fetch fails: ${name}; it is tried again after a moment, not for each request`, async () => {
    const { clock, calls, sets } = stage(outcome, answer(keySet("a")));
    const set = sets.get(spec);
    assert.equal(await settle(set), "failed");
    assert.equal(set.now().kind, "failed");
    assert.equal(calls.httpCalls.length, 1);
    await clock.advance(1_000);
    assert.equal(await settle(set), "keys");
  });

test("expired keys are not used when fetching fails", async () => {
  const { clock, sets } = stage(answer(keySet("a")), answer("", 500));
  const set = sets.get(spec);
  await settle(set);
  await clock.advance(300_000);
  assert.equal(await settle(set), "failed");
});

test("retries are made at once", async () => {
  const { calls, sets } = stage(answer("", 500), answer("", 500), answer(keySet("a")));
  assert.equal(await settle(sets.get({ ...spec, retries: 2 })), "keys");
  assert.equal(calls.httpCalls.length, 3);
});

test("prefetched keys are there before they are needed, and are kept while the provider is away", async () => {
  const { clock, calls, sets } = stage(answer(keySet("a")), answer("", 500), answer(keySet("b")));
  const set = sets.get(prefetching);
  await clock.advance(0);
  assert.equal(calls.httpCalls.length, 1);
  assert.equal(set.now().kind, "keys");
  const first = set.atHand();
  await clock.advance(300_000);
  assert.equal(calls.httpCalls.length, 2);
  assert.equal(set.atHand(), first);
  await clock.advance(1_000);
  assert.equal(calls.httpCalls.length, 3);
  assert.notEqual(set.atHand(), first);
  sets.close();
});

test("prefetching ends when nobody asks any more, and starts again when someone does", async () => {
  const { clock, calls, sets } = stage(answer(keySet("a")));
  sets.get(prefetching);
  for (let round = 0; round < 10; round++) await clock.advance(300_000);
  const fetched = calls.httpCalls.length;
  assert.ok(fetched <= 4, `${fetched} fetches`);
  sets.get(prefetching);
  await clock.advance(0);
  assert.equal(calls.httpCalls.length, fetched + 1);
  sets.close();
});

test("a closed program fetches nothing more", async () => {
  const { clock, calls, sets } = stage(answer(keySet("a")));
  sets.get(prefetching);
  await clock.advance(0);
  sets.close();
  await clock.advance(10_000_000);
  assert.equal(calls.httpCalls.length, 1);
});

test("the parts of a URI", () => {
  assert.deepEqual(uriParts("https://a.example:8443/x/y?z=1"), {
    authority: "a.example:8443",
    path: "/x/y?z=1",
  });
  assert.deepEqual(uriParts("a.example"), { authority: "a.example", path: "/" });
  assert.deepEqual(uriParts("http://a.example?x"), { authority: "a.example", path: "/?x" });
});
