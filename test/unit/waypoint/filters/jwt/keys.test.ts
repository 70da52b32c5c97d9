/** Keys and the signatures they verify, with the vectors of the RFCs. */
import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { parseKeys, type VerificationKeys } from "../../../../../src/waypoint/filters/jwt/keys.ts";
import { parseSigned, parseToken } from "../../../../../src/waypoint/filters/jwt/token.ts";

function keysOf(...keys: readonly object[]): VerificationKeys {
  const parsed = parseKeys(JSON.stringify({ keys }));
  assert.equal(parsed.kind, "keys", JSON.stringify(parsed));
  if (parsed.kind !== "keys") throw new Error("no keys");
  return parsed.keys;
}

async function check(keys: VerificationKeys, text: string): Promise<string> {
  const signed = parseSigned(text);
  return signed === undefined ? "no signed text" : await keys.check(signed);
}

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** RFC 7515 appendices A.1 and A.3, RFC 8037 appendix A.4. */
const claims =
  "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const vectors = [
  {
    name: "HS256",
    key: {
      kty: "oct",
      k: "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    },
    jws: `eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.${claims}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`,
  },
  {
    name: "ES256",
    key: {
      kty: "EC",
      crv: "P-256",
      x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
      y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    },
    jws: `eyJhbGciOiJFUzI1NiJ9.${claims}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q`,
  },
  {
    name: "EdDSA",
    key: { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
    jws: "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
  },
];

for (const { name, key, jws } of vectors)
  test(`${name}: the vector of its RFC verifies, and nothing near it`, async () => {
    const keys = keysOf(key);
    assert.equal(await check(keys, jws), "OK");
    const [head = "", payload = "", signature = ""] = jws.split(".");
    const flipped = signature.startsWith("A") ? `B${signature.slice(1)}` : `A${signature.slice(1)}`;
    assert.equal(await check(keys, `${head}.${payload}.${flipped}`), "Jwt verification fails");
    assert.equal(
      await check(keys, `${head}.${part({ iss: "x" })}.${signature}`),
      "Jwt verification fails",
    );
  });

test("a public key is never an HMAC secret", async () => {
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const jwk = publicKey.export({ format: "jwk" });
  const pem = publicKey.export({ format: "pem", type: "spki" });
  for (const secret of [pem, JSON.stringify(jwk), Buffer.from(String(jwk.n), "base64url")]) {
    const signed = `${part({ alg: "HS256" })}.${part({ iss: "x" })}`;
    const mac = createHmac("sha256", secret).update(signed).digest("base64url");
    assert.equal(await check(keysOf(jwk), `${signed}.${mac}`), "Jwt verification fails");
  }
});

test("ids and algorithms that do not fit tell so", async () => {
  const [hmac] = vectors;
  assert.ok(hmac !== undefined);
  const missing = "Jwks doesn't have key to match kid or alg from Jwt";
  assert.equal(await check(keysOf({ ...hmac.key, alg: "HS384" }), hmac.jws), missing);
  // A token without an id is tried with every key.
  assert.equal(await check(keysOf({ ...hmac.key, kid: "a" }), hmac.jws), "OK");
});

/** Sets that cannot be used, and why. */
const unusable: readonly (readonly [name: string, text: string, reason: RegExp])[] = [
  ["not JSON", "{", /invalid JSON/],
  ["a list", "[]", /not a JSON object/],
  ["nothing", "{}", /does not have \[keys\]/],
  ["keys that are no list", '{"keys":{}}', /not an array/],
  ["no keys", '{"keys":[]}', /no valid key/],
  ["an unknown kind", '{"keys":[{"kty":"x"}]}', /\[kty\].*not supported: x/],
  ["RSA without n", '{"keys":[{"kty":"RSA","e":"AQAB"}]}', /cannot be read/],
  ["RSA with e = 1", '{"keys":[{"kty":"RSA","n":"AQAB","e":"AQ"}]}', /unusual \[e\]/],
  ["EC off the curve", '{"keys":[{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}]}', /cannot be read/],
  ["EC of another curve", '{"keys":[{"kty":"EC","crv":"secp256k1"}]}', /\[crv\]/],
  ["X25519", '{"keys":[{"kty":"OKP","crv":"X25519","x":"AQ"}]}', /\[crv\]/],
  ["an empty secret", '{"keys":[{"kty":"oct","k":""}]}', /no \[k\]/],
  ["for encryption", '{"keys":[{"kty":"oct","k":"AQ","use":"enc"}]}', /\[use\] enc/],
  ["for signing only", '{"keys":[{"kty":"oct","k":"AQ","key_ops":["sign"]}]}', /not for verifying/],
  ["RS256 for a secret", '{"keys":[{"kty":"oct","k":"AQ","alg":"RS256"}]}', /does not fit/],
];

for (const [name, text, reason] of unusable)
  test(`a set is refused: ${name}`, () => {
    const parsed = parseKeys(text);
    assert.equal(parsed.kind, "invalid");
    assert.match(parsed.kind === "invalid" ? parsed.reason : "", reason);
  });

test("a bad key beside a good one is left out", () => {
  const [hmac] = vectors;
  const parsed = parseKeys(JSON.stringify({ keys: [{ kty: "x" }, hmac?.key] }));
  assert.equal(parsed.kind, "keys");
  assert.deepEqual(parsed.kind === "keys" ? parsed.skipped : [], [
    "keys[0] has a [kty] that is not supported: x",
  ]);
});

test("a verified token is remembered by its keys, and by no others", async () => {
  const [hmac] = vectors;
  assert.ok(hmac !== undefined);
  const parsed = parseToken(hmac.jws);
  assert.equal(parsed.kind, "token");
  if (parsed.kind !== "token") return;
  const keys = keysOf(hmac.key);
  assert.equal(keys.verified(hmac.jws), undefined);
  assert.equal(await keys.verify(parsed.token), "OK");
  assert.equal(keys.verified(hmac.jws), parsed.token);
  assert.equal(keysOf(hmac.key).verified(hmac.jws), undefined);
});

test("critical extensions that nobody knows are refused", () => {
  const text = `${part({ alg: "HS256", crit: ["x"], x: 1 })}.${part({})}.AA`;
  assert.deepEqual(parseToken(text), {
    kind: "malformed",
    status: "Jwt header [alg] is not supported",
  });
});
