/**
 * Bearer tokens of mesh components outside Kubernetes: JWTs in the claim shape of Kubernetes' bound service account tokens,
 * signed by the control plane's state directory.
 */
import { createHash, createPublicKey, type KeyObject, randomUUID } from "node:crypto";
import { errors, jwtVerify, SignJWT } from "jose";

/** The audience that Istio's control plane asks for. */
export const TOKEN_AUDIENCE = "istio-ca";
export const TOKEN_ISSUER = "ambit";
/** Another machine's clock may be off by this much. */
const CLOCK_TOLERANCE_SECONDS = 30;
const ALGORITHM = "ES256";

/** Whom a token names. */
export interface TokenSubject {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The node that the token is bound to. */
  readonly node?: string | undefined;
}

export interface TokenLifetime {
  readonly issuedAtMs: number;
  readonly ttlMs: number;
}

/** RFC 1123 label: what Kubernetes lets a namespace or service account be called (accounts may have dots). */
const NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

/** Reads `<namespace>/<name>`; undefined when it is not of that form. */
export function parseServiceAccount(
  text: string,
): Pick<TokenSubject, "namespace" | "serviceAccount"> | undefined {
  const [namespace = "", serviceAccount = "", ...more] = text.split("/");
  return more.length === 0 && NAME.test(namespace) && NAME.test(serviceAccount)
    ? { namespace, serviceAccount }
    : undefined;
}

/** Names the key in a token's header, so that another signer is told apart from a broken signature. */
function keyId(publicKey: KeyObject): string {
  const spki = publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(spki).digest("base64url").slice(0, 16);
}

export function signToken(
  privateKey: KeyObject,
  subject: TokenSubject,
  lifetime: TokenLifetime,
): Promise<string> {
  const { namespace, serviceAccount, node } = subject;
  const issuedAt = Math.floor(lifetime.issuedAtMs / 1000);
  return new SignJWT({
    "kubernetes.io": {
      namespace,
      serviceaccount: { name: serviceAccount },
      ...(node === undefined ? {} : { node: { name: node } }),
    },
  })
    .setProtectedHeader({ alg: ALGORITHM, kid: keyId(createPublicKey(privateKey)) })
    .setIssuer(TOKEN_ISSUER)
    .setAudience([TOKEN_AUDIENCE])
    .setSubject(`system:serviceaccount:${namespace}:${serviceAccount}`)
    .setIssuedAt(issuedAt)
    .setNotBefore(issuedAt)
    .setExpirationTime(issuedAt + Math.floor(lifetime.ttlMs / 1000))
    .setJti(randomUUID())
    .sign(privateKey);
}

/** Why a token is not accepted, in words for the log. */
class TokenError extends Error {
  override readonly name = "TokenError";
}

function reasonOf(thrown: unknown): string {
  if (thrown instanceof errors.JWTExpired) return "token has expired";
  if (thrown instanceof errors.JWTClaimValidationFailed) {
    if (thrown.claim === "aud") return `token is not for audience "${TOKEN_AUDIENCE}"`;
    if (thrown.claim === "nbf") return "token is not valid yet";
    return `token claim "${thrown.claim}": ${thrown.message}`;
  }
  if (thrown instanceof errors.JOSEAlgNotAllowed) return "token algorithm is not allowed";
  if (thrown instanceof errors.JWSSignatureVerificationFailed)
    return "token was signed by another key";
  return `token cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
}

interface BoundClaims {
  readonly namespace?: unknown;
  readonly serviceaccount?: { readonly name?: unknown };
  readonly node?: { readonly name?: unknown };
}

function readSubject(subject: string | undefined, claims: unknown): TokenSubject {
  const bound = (typeof claims === "object" && claims !== null ? claims : {}) as BoundClaims;
  const { namespace } = bound;
  const serviceAccount = bound.serviceaccount?.name;
  const node = bound.node?.name;
  if (typeof namespace !== "string" || typeof serviceAccount !== "string")
    throw new TokenError("token names no service account");
  if (subject !== `system:serviceaccount:${namespace}:${serviceAccount}`)
    throw new TokenError("token subject and service account differ");
  if (parseServiceAccount(`${namespace}/${serviceAccount}`) === undefined)
    throw new TokenError("token names no possible service account");
  if (node === undefined) return { namespace, serviceAccount };
  if (typeof node !== "string" || node === "") throw new TokenError("token names a strange node");
  return { namespace, serviceAccount, node };
}

/** Checks everything about a token; rejects with a TokenError. */
export async function verifyToken(
  publicKey: KeyObject,
  token: string,
  nowMs: number,
): Promise<TokenSubject> {
  try {
    const { payload } = await jwtVerify(token, publicKey, {
      algorithms: [ALGORITHM],
      audience: TOKEN_AUDIENCE,
      issuer: TOKEN_ISSUER,
      requiredClaims: ["exp", "iat", "nbf", "sub"],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      // biome-ignore lint/style/noRestrictedGlobals: the instant is given
      currentDate: new Date(nowMs),
    });
    return readSubject(payload.sub, payload["kubernetes.io"]);
  } catch (thrown) {
    if (thrown instanceof TokenError) throw thrown;
    throw new TokenError(reasonOf(thrown), { cause: thrown });
  }
}
