import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { SignJWT, UnsecuredJWT } from "jose";
import {
  parseServiceAccount,
  signToken,
  TOKEN_AUDIENCE,
  TOKEN_ISSUER,
  verifyToken,
} from "../../../../src/shared/identity/token.ts";

const newKeys = () => generateKeyPairSync("ec", { namedCurve: "P-256" });
const keys = newKeys();
const nowMs = 1_790_000_000_000;
const lifetime = { issuedAtMs: nowMs, ttlMs: 3_600_000 };
const subject = { namespace: "istio-system", serviceAccount: "ztunnel", node: "node1" };

test("a token names what it was made for, in the claim shape of Kubernetes", async () => {
  const token = await signToken(keys.privateKey, subject, lifetime);
  assert.deepEqual(await verifyToken(keys.publicKey, token, nowMs), subject);
  const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
  assert.deepEqual(claims["kubernetes.io"], {
    namespace: "istio-system",
    serviceaccount: { name: "ztunnel" },
    node: { name: "node1" },
  });
  assert.equal(claims.sub, "system:serviceaccount:istio-system:ztunnel");
  assert.deepEqual(claims.aud, ["istio-ca"]);
});

test("a token without a node has none", async () => {
  const plain = { namespace: "shop", serviceAccount: "waypoint" };
  const token = await signToken(keys.privateKey, plain, lifetime);
  assert.deepEqual(await verifyToken(keys.publicKey, token, nowMs), plain);
});

/** Claims of a good token, to be broken one at a time. */
const good = {
  sub: "system:serviceaccount:shop:web",
  aud: TOKEN_AUDIENCE,
  iss: TOKEN_ISSUER,
  iat: nowMs / 1000,
  nbf: nowMs / 1000,
  exp: nowMs / 1000 + 3600,
  "kubernetes.io": { namespace: "shop", serviceaccount: { name: "web" } },
};

const sign = (claims: Record<string, unknown>, key = keys.privateKey, alg = "ES256") =>
  new SignJWT(claims).setProtectedHeader({ alg }).sign(key);

test("a token that says the same in its own words is accepted", async () => {
  const found = await verifyToken(keys.publicKey, await sign(good), nowMs);
  assert.deepEqual(found, { namespace: "shop", serviceAccount: "web" });
});

const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
const symmetric = Buffer.from(keys.publicKey.export({ type: "spki", format: "pem" }));

const refused: readonly [string, () => Promise<string> | string, RegExp][] = [
  ["expired", () => sign({ ...good, exp: nowMs / 1000 - 31 }), /has expired/],
  ["of another audience", () => sign({ ...good, aud: "other" }), /audience/],
  ["without an audience", () => sign({ ...good, aud: undefined }), /audience/],
  ["not valid yet", () => sign({ ...good, nbf: nowMs / 1000 + 31 }), /not valid yet/],
  ["of another issuer", () => sign({ ...good, iss: "other" }), /"iss"/],
  ["without an end", () => sign({ ...good, exp: undefined }), /"exp"/],
  ["of another signer", () => sign(good, newKeys().privateKey), /another key/],
  ["of another algorithm", () => sign(good, p384.privateKey, "ES384"), /algorithm is not allowed/],
  ["without a signature", () => new UnsecuredJWT(good).encode(), /cannot be read|not allowed/],
  [
    "signed symmetrically with the public key",
    () => new SignJWT(good).setProtectedHeader({ alg: "HS256" }).sign(symmetric),
    /algorithm is not allowed/,
  ],
  ["that is no token", () => "hello", /cannot be read/],
  ["that is empty", () => "", /cannot be read/],
  ["without claims", () => sign({ ...good, "kubernetes.io": undefined }), /names no service/],
  [
    "whose subject names another",
    () => sign({ ...good, sub: "system:serviceaccount:shop:admin" }),
    /differ/,
  ],
  [
    "with an impossible name",
    () =>
      sign({
        ...good,
        sub: "system:serviceaccount:a/../b:web",
        "kubernetes.io": { namespace: "a/../b", serviceaccount: { name: "web" } },
      }),
    /no possible/,
  ],
  [
    "with a strange node",
    () => sign({ ...good, "kubernetes.io": { ...good["kubernetes.io"], node: { name: 1 } } }),
    /strange node/,
  ],
];

for (const [name, make, reason] of refused) {
  test(`a token ${name} is refused`, async () => {
    await assert.rejects(verifyToken(keys.publicKey, await make(), nowMs), (thrown: Error) => {
      assert.equal(thrown.name, "TokenError");
      assert.match(thrown.message, reason);
      return true;
    });
  });
}

test("a changed claim breaks the signature", async () => {
  const [header, , signature] = (await sign(good)).split(".");
  const claims = { ...good, sub: "system:serviceaccount:shop:root" };
  const forged = Buffer.from(JSON.stringify(claims)).toString("base64url");
  await assert.rejects(
    verifyToken(keys.publicKey, `${header}.${forged}.${signature}`, nowMs),
    /another key/,
  );
});

test("service accounts are two names and a slash", () => {
  assert.deepEqual(parseServiceAccount("istio-system/ztunnel"), {
    namespace: "istio-system",
    serviceAccount: "ztunnel",
  });
  for (const text of ["ztunnel", "/ztunnel", "a/", "a/b/c", "A/b", "a b/c", "-a/b", "a/b\n"])
    assert.equal(parseServiceAccount(text), undefined, text);
});
