/** JSON Web Key Sets (RFC 7517, RFC 7518 section 6, RFC 8037) and the signatures that they verify. */
import { createPublicKey, createSecretKey, type KeyObject, X509Certificate } from "node:crypto";
import { compactVerify } from "jose";
import type { JwtStatus } from "./status.ts";
import { type Algorithm, algorithms, type Signed, type Token } from "./token.ts";
import { VerifiedTokens } from "./verified-tokens.ts";

interface VerificationKey {
  /** "": any. */
  readonly kid: string;
  /** Those that this key may verify: never HS with a public key, never another family than the key's. */
  readonly algorithms: readonly Algorithm[];
  /** What the set itself says; "" when it says nothing. Decides between "no such key" and "wrong signature". */
  readonly alg: string;
  readonly key: KeyObject;
}

/** Of one set of keys; a new set is a new object, so that tokens verified with old keys are forgotten with them. */
export class VerificationKeys {
  readonly #keys: readonly VerificationKey[];
  readonly #verified = new VerifiedTokens();

  constructor(keys: readonly VerificationKey[]) {
    this.#keys = keys;
  }

  get size(): number {
    return this.#keys.length;
  }

  /** The token if these keys verified it before. Times and audiences are the caller's to check. */
  verified(text: string): Token | undefined {
    return this.#verified.get(text);
  }

  /** Verifies the signature and remembers the token if it is good. Never rejects. */
  async verify(token: Token): Promise<JwtStatus> {
    const status = await this.check(token);
    if (status === "OK") this.#verified.add(token);
    return status;
  }

  async check(token: Signed): Promise<JwtStatus> {
    if (this.#keys.length === 0) return "Jwks doesn't have any valid public key";
    let matched = false;
    for (const candidate of this.#keys) {
      if (!isMeant(candidate, token)) continue;
      matched = true;
      if (!candidate.algorithms.includes(token.alg)) continue;
      if (token.alg === "EdDSA" && token.signatureBytes !== ED25519_SIGNATURE_BYTES)
        return "Jwt ED25519 signature is wrong length";
      if (await signatureHolds(token, candidate.key)) return "OK";
    }
    return matched
      ? "Jwt verification fails"
      : "Jwks doesn't have key to match kid or alg from Jwt";
  }
}

const ED25519_SIGNATURE_BYTES = 64;

/** By what both say of themselves; what one of them leaves open does not count. */
function isMeant({ kid, alg }: VerificationKey, token: Signed): boolean {
  return (token.kid === "" || kid === "" || kid === token.kid) && (alg === "" || alg === token.alg);
}

async function signatureHolds(token: Signed, key: KeyObject): Promise<boolean> {
  try {
    await compactVerify(token.text, key, { algorithms: [token.alg] });
    return true;
  } catch {
    return false;
  }
}

export type ParsedKeys =
  | {
      readonly kind: "keys";
      readonly keys: VerificationKeys;
      /** Keys of the set that cannot be used, and why. */
      readonly skipped: readonly string[];
    }
  | { readonly kind: "invalid"; readonly reason: string };

/** A set with no usable key at all is invalid; single bad keys are left out, as the reference does. */
export function parseKeys(text: string): ParsedKeys {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return invalid("is an invalid JSON");
  }
  if (!isObject(value)) return invalid("is not a JSON object");
  const certificates = certificateSet(value);
  if (certificates !== undefined) return certificates;
  const list = value["keys"];
  if (list === undefined) return invalid("does not have [keys] field");
  if (!Array.isArray(list)) return invalid("[keys] is not an array");
  const keys: VerificationKey[] = [];
  const skipped: string[] = [];
  for (const [index, entry] of list.entries()) {
    const key = readKey(entry);
    if (typeof key === "string") skipped.push(`keys[${index}] ${key}`);
    else keys.push(key);
  }
  if (keys.length === 0) return invalid(["has no valid key", ...skipped].join("; "));
  return { kind: "keys", keys: new VerificationKeys(keys), skipped };
}

function invalid(reason: string): ParsedKeys {
  return { kind: "invalid", reason };
}

type JsonObject = { readonly [name: string]: unknown };

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The form of some identity providers: `{"<kid>": "-----BEGIN CERTIFICATE-----…"}`, RSA only. */
function certificateSet(value: JsonObject): ParsedKeys | undefined {
  const entries = Object.entries(value);
  const shaped = entries.every(
    ([kid, pem]) =>
      kid !== "" && typeof pem === "string" && pem.startsWith("-----BEGIN CERTIFICATE-----\n"),
  );
  if (entries.length === 0 || !shaped) return undefined;
  const keys: VerificationKey[] = [];
  for (const [kid, pem] of entries) {
    const key = certificateKey(String(pem));
    if (key === undefined) return invalid(`${kid} is not a certificate with an RSA key`);
    keys.push({ kid, alg: "", algorithms: startingWith("RS", "PS"), key });
  }
  return { kind: "keys", keys: new VerificationKeys(keys), skipped: [] };
}

function certificateKey(pem: string): KeyObject | undefined {
  try {
    const { publicKey } = new X509Certificate(pem);
    return publicKey.asymmetricKeyType === "rsa" ? publicKey : undefined;
  } catch {
    return undefined;
  }
}

/** The key, or what is wrong with it. */
function readKey(jwk: unknown): VerificationKey | string {
  if (!isObject(jwk)) return "is not an object";
  const kid = typeof jwk["kid"] === "string" ? jwk["kid"] : "";
  const alg = typeof jwk["alg"] === "string" ? jwk["alg"] : "";
  if (jwk["use"] !== undefined && jwk["use"] !== "sig") return `is for [use] ${String(jwk["use"])}`;
  const operations = jwk["key_ops"];
  if (Array.isArray(operations) && !operations.includes("verify")) return "is not for verifying";
  const usable = usableAlgorithms(jwk, alg);
  if (typeof usable === "string") return usable;
  const key = importKey(jwk);
  return typeof key === "string" ? key : { kid, alg, algorithms: usable, key };
}

const curves: ReadonlyMap<string, Algorithm> = new Map([
  ["P-256", "ES256"],
  ["P-384", "ES384"],
  ["P-521", "ES512"],
]);

function usableAlgorithms(jwk: JsonObject, alg: string): readonly Algorithm[] | string {
  const family = familyOf(jwk);
  if (typeof family === "string") return family;
  if (alg === "") return family;
  const only = family.filter((each) => each === alg);
  return only.length === 0 ? `has an [alg] ${alg} that does not fit its [kty]` : only;
}

function familyOf(jwk: JsonObject): readonly Algorithm[] | string {
  switch (jwk["kty"]) {
    case "RSA":
      // AQAB and Aw: 65537 and 3, the only exponents that the reference takes.
      return jwk["e"] === "AQAB" || jwk["e"] === "Aw"
        ? startingWith("RS", "PS")
        : "has an unusual [e]";
    case "EC": {
      const algorithm = curves.get(String(jwk["crv"] ?? curveOf(jwk["alg"])));
      return algorithm === undefined ? "has a [crv] that is not supported" : [algorithm];
    }
    case "oct":
      return startingWith("HS");
    case "OKP":
      return jwk["crv"] === "Ed25519" ? ["EdDSA"] : "has a [crv] that is not supported";
    default:
      return `has a [kty] that is not supported: ${String(jwk["kty"])}`;
  }
}

function curveOf(alg: unknown): string {
  for (const [curve, algorithm] of curves) if (algorithm === alg) return curve;
  return "P-256";
}

function startingWith(...families: readonly string[]): readonly Algorithm[] {
  return algorithms.filter((each) => families.some((family) => each.startsWith(family)));
}

function importKey(jwk: JsonObject): KeyObject | string {
  try {
    if (jwk["kty"] === "oct") {
      const secret = Buffer.from(String(jwk["k"] ?? ""), "base64url");
      return secret.length === 0 ? "has no [k]" : createSecretKey(secret);
    }
    const { kty, n, e, crv, x, y } = jwk;
    const curve = kty === "EC" ? (crv ?? curveOf(jwk["alg"])) : crv;
    // Only the public members: a set that gives away a private key is not made worse by us.
    const publicJwk = defined({ kty, n, e, crv: curve, x, y });
    return createPublicKey({ format: "jwk", key: publicJwk });
  } catch (error) {
    return `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function defined(members: JsonObject): { readonly [name: string]: string } {
  const kept: { [name: string]: string } = {};
  for (const [name, value] of Object.entries(members))
    if (value !== undefined) kept[name] = String(value);
  return kept;
}
