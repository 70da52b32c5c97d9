/** Keys and tokens made for a test. */
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";

export interface Issuer {
  readonly jwks: string;
  token(claims: JWTPayload, alg?: string, header?: object): Promise<string>;
}

const algorithms = ["RS256", "PS384", "ES256", "ES384", "ES512", "EdDSA"] as const;

/** A key for each family; an HMAC secret besides. */
export async function issuerOf(prefix: string): Promise<Issuer> {
  const secret = Buffer.from(`${prefix}-secret-secret-secret-secret-secret-secret`);
  const pairs = new Map(
    await Promise.all(
      algorithms.map(async (alg) => [alg as string, await generateKeyPair(alg)] as const),
    ),
  );
  const keys = await Promise.all(
    [...pairs].map(async ([alg, { publicKey }]) => ({
      ...(await exportJWK(publicKey)),
      kid: `${prefix}-${alg}`,
    })),
  );
  const oct = { kty: "oct", kid: `${prefix}-HS256`, k: secret.toString("base64url") };
  return {
    jwks: JSON.stringify({ keys: [...keys, oct] }),
    token: (claims, alg = "RS256", header = {}) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg, kid: `${prefix}-${alg}`, ...header })
        .sign(alg.startsWith("HS") ? secret : (pairs.get(alg)?.privateKey ?? secret)),
  };
}
