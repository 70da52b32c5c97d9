/** Key sets of issuers: fetched, refreshed, kept over failures for a while, forgotten with the last policy that names them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { KeyStore } from "../../../../src/controlplane/keys/key-store.ts";
import { neededKeys } from "../../../../src/controlplane/keys/needed.ts";
import { FakeClock } from "../../../support/clock.ts";
import { quietLog } from "../../../support/log.ts";
import { objectsOf } from "../../../support/translate.ts";

const URI = "https://issuer.example/keys";
const source = { uri: URI, issuer: "https://issuer.example", timeoutMs: 5000 };
const KEYS = '{"keys":[{"kty":"oct","k":"YQ"}]}';
const DAY_MS = 24 * 60 * 60_000;

class Server {
  readonly asked: string[] = [];
  readonly documents = new Map<string, string>();

  readonly fetchText = (url: string): Promise<string> => {
    this.asked.push(url);
    const text = this.documents.get(url);
    return text === undefined ? Promise.reject(new Error("refused")) : Promise.resolve(text);
  };
}

function storeOf(server: Server) {
  const clock = new FakeClock();
  const counted = { changes: 0 };
  const store = new KeyStore({
    clock,
    log: quietLog,
    fetchText: server.fetchText,
    changed: () => {
      counted.changes++;
    },
  });
  return { clock, store, counted };
}

test("keys are fetched once for all policies, and again after twenty minutes", async () => {
  const server = new Server();
  server.documents.set(URI, KEYS);
  const { clock, store, counted } = storeOf(server);
  store.want([source, source]);
  await clock.advance(0);
  assert.equal(store.current.get(URI), KEYS);
  const first = store.current;
  store.want([source]);
  await clock.advance(20 * 60_000);
  assert.deepEqual(server.asked, [URI, URI]);
  assert.equal(store.current, first);
  assert.equal(counted.changes, 1);
  server.documents.set(URI, '{"keys":[{"kty":"oct","k":"Yg"}]}');
  await clock.advance(20 * 60_000);
  assert.equal(store.current.get(URI), '{"keys":[{"kty":"oct","k":"Yg"}]}');
  assert.equal(counted.changes, 2);
  store.close();
});

test("without a key set's address it is found through the issuer", async () => {
  const server = new Server();
  server.documents.set(
    "https://issuer.example/.well-known/openid-configuration",
    JSON.stringify({ jwks_uri: URI }),
  );
  server.documents.set(URI, KEYS);
  const { clock, store } = storeOf(server);
  store.want([{ uri: "", issuer: "https://issuer.example/", timeoutMs: 5000 }]);
  await clock.advance(0);
  assert.deepEqual([...store.current], [["issuer https://issuer.example/", KEYS]]);
  store.close();
});

test("what is no key set is not taken for one, and is asked for again", async () => {
  const server = new Server();
  const { clock, store, counted } = storeOf(server);
  for (const page of [
    "<html>",
    "[]",
    '{"keys":{}}',
    '{"keys":[]}',
    '{"keys":[{"kty":"RSA"}]}',
    "null",
  ]) {
    server.documents.set(URI, page);
    store.want([source]);
    await clock.advance(1000);
    assert.equal(store.current.size, 0);
  }
  assert.equal(counted.changes, 0);
  server.documents.set(URI, KEYS);
  await clock.advance(1000);
  assert.equal(store.current.get(URI), KEYS);
  store.close();
});

test("after seven quick retries the next wait a minute, two, four, and at last an hour", async () => {
  const server = new Server();
  const { clock, store } = storeOf(server);
  store.want([source]);
  await clock.advance(0);
  for (let i = 0; i < 7; i++) await clock.advance(1000);
  assert.equal(server.asked.length, 8);
  for (const minutes of [1, 2, 4, 8, 16, 32, 60, 60]) {
    const before: number = server.asked.length;
    await clock.advance(minutes * 60_000 - 1);
    assert.equal(server.asked.length, before, `before ${minutes} minutes`);
    await clock.advance(1);
    assert.equal(server.asked.length, before + 1, `after ${minutes} minutes`);
  }
  store.close();
});

test("keys that cannot be fetched again are kept for seven days", async () => {
  const server = new Server();
  server.documents.set(URI, KEYS);
  const { clock, store, counted } = storeOf(server);
  store.want([source]);
  await clock.advance(0);
  server.documents.delete(URI);
  for (let hour = 0; hour < 7 * 24 - 1; hour++) await clock.advance(60 * 60_000);
  assert.equal(store.current.get(URI), KEYS);
  for (let hour = 0; hour < 24; hour++) await clock.advance(60 * 60_000);
  assert.ok(clock.monotonicMs() > 7 * DAY_MS);
  assert.equal(store.current.size, 0);
  assert.equal(counted.changes, 2);
  store.close();
});

test("nothing is fetched any more for a policy that went", async () => {
  const server = new Server();
  server.documents.set(URI, KEYS);
  const { clock, store } = storeOf(server);
  store.want([source]);
  await clock.advance(0);
  store.want([]);
  await clock.advance(DAY_MS);
  assert.equal(server.asked.length, 1);
  store.close();
});

test("only policies at waypoints need keys, and only those that do not carry them", () => {
  const objects = objectsOf(`
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: at-waypoint, namespace: shop }
spec:
  targetRefs: [{ kind: Gateway, group: gateway.networking.k8s.io, name: waypoint }]
  jwtRules:
  - { issuer: a, jwksUri: "https://a/keys", timeout: 2s }
  - { issuer: b, jwks_uri: "https://b/keys" }
  - { issuer: c, jwks: '{"keys":[{"kty":"oct","k":"Yg"}]}' }
  - { issuer: "https://d" }
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: by-selector, namespace: shop }
spec:
  selector: { matchLabels: { app: reviews } }
  jwtRules: [{ issuer: e, jwksUri: "https://e/keys" }]
`);
  assert.deepEqual(neededKeys(objects.values()), [
    { uri: "https://a/keys", issuer: "a", timeoutMs: 2000 },
    { uri: "https://b/keys", issuer: "b", timeoutMs: 5000 },
    { uri: "", issuer: "https://d", timeoutMs: 5000 },
  ]);
});
