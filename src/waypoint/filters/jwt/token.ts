/** A JWT in compact serialization taken apart, not yet verified (RFC 7515 section 3.1, RFC 7519 section 4.1). */
import type { MetadataValue } from "../filter.ts";
import type { JwtStatus } from "./status.ts";

export type Claims = { readonly [name: string]: MetadataValue };

/** What signs and what is signed, whatever the payload is (RFC 7515). */
export interface Signed {
  readonly text: string;
  readonly header: Claims;
  readonly alg: Algorithm;
  /** "": none. */
  readonly kid: string;
  /** As in the token. */
  readonly payloadBase64: string;
  readonly signatureBytes: number;
}

export interface Token extends Signed {
  readonly payload: Claims;
  /** "": none. */
  readonly iss: string;
  readonly sub: string;
  readonly aud: readonly string[];
  /** Seconds; 0: none. */
  readonly iat: number;
  readonly nbf: number;
  readonly exp: number;
}

export const algorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "HS256",
  "HS384",
  "HS512",
  "EdDSA",
] as const;

export type Algorithm = (typeof algorithms)[number];

export type ParsedToken =
  | { readonly kind: "token"; readonly token: Token }
  | { readonly kind: "malformed"; readonly status: JwtStatus };

/** Larger ones are no tokens: parsing costs memory and time before anything is verified. */
const MAX_TOKEN_CHARS = 65_536;
const UINT64_LIMIT = 2 ** 64;

class Malformed extends Error {
  readonly status: JwtStatus;

  constructor(status: JwtStatus, options?: ErrorOptions) {
    super(status, options);
    this.status = status;
  }
}

export function parseToken(text: string): ParsedToken {
  try {
    return { kind: "token", token: readToken(text) };
  } catch (error) {
    if (error instanceof Malformed) return { kind: "malformed", status: error.status };
    throw error;
  }
}

/** Undefined: it is not a signed text in compact form. */
export function parseSigned(text: string): Signed | undefined {
  try {
    const { signature, ...signed } = readSigned(text);
    decodeBase64Url(signed.payloadBase64, "Jwt payload is an invalid Base64url encoded");
    return { ...signed, signatureBytes: signatureBytes(signature) };
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

function readToken(text: string): Token {
  const { signature, ...signed } = readSigned(text);
  const payload = readObject(
    signed.payloadBase64,
    "Jwt payload is an invalid Base64url encoded",
    "Jwt payload is an invalid JSON",
  );
  const iss = textClaim(payload["iss"], "Jwt payload [iss] field is not a string");
  const sub = textClaim(payload["sub"], "Jwt payload [sub] field is not a string");
  const iat = secondsClaim(payload["iat"], "iat");
  const nbf = secondsClaim(payload["nbf"], "nbf");
  const exp = secondsClaim(payload["exp"], "exp");
  textClaim(payload["jti"], "Jwt payload [jti] field is not a string");
  const aud = audienceClaim(payload["aud"]);
  return {
    ...signed,
    signatureBytes: signatureBytes(signature),
    payload,
    iss,
    sub,
    aud,
    iat,
    nbf,
    exp,
  };
}

function readSigned(text: string): Omit<Signed, "signatureBytes"> & { readonly signature: string } {
  const first = text.indexOf(".");
  const second = text.indexOf(".", first + 1);
  const shaped =
    first > 0 &&
    second > first + 1 &&
    second < text.length - 1 &&
    text.indexOf(".", second + 1) < 0;
  if (!shaped || text.length > MAX_TOKEN_CHARS)
    throw new Malformed(
      "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
    );
  const header = readObject(
    text.slice(0, first),
    "Jwt header is an invalid Base64url encoded",
    "Jwt header is an invalid JSON",
  );
  const payloadBase64 = text.slice(first + 1, second);
  return { text, header, ...readHeader(header), payloadBase64, signature: text.slice(second + 1) };
}

function signatureBytes(signature: string): number {
  return decodeBase64Url(signature, "Jwt signature is an invalid Base64url encoded").length;
}

function readHeader(header: Claims): { readonly alg: Algorithm; readonly kid: string } {
  const alg = header["alg"];
  if (typeof alg !== "string")
    throw new Malformed("Jwt header [alg] field is required and must be a string");
  const known = algorithms.find((each) => each === alg);
  // `crit` names extensions that a recipient must understand; we understand none (RFC 7515 section 4.1.11).
  if (known === undefined || header["crit"] !== undefined)
    throw new Malformed("Jwt header [alg] is not supported");
  return { alg: known, kid: textClaim(header["kid"], "Jwt header [kid] field is not a string") };
}

function readObject(base64: string, badBase64: JwtStatus, badJson: JwtStatus): Claims {
  const bytes = decodeBase64Url(base64, badBase64);
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch (cause) {
    throw new Malformed(badJson, { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Malformed(badJson);
  return value as Claims;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });
/** Without padding and without bits left over, so that one token has one text (RFC 7515 section 2). */
const BASE64URL =
  /^(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?$/;

function decodeBase64Url(text: string, status: JwtStatus): Buffer {
  if (!BASE64URL.test(text)) throw new Malformed(status);
  return Buffer.from(text, "base64url");
}

function textClaim(value: MetadataValue | undefined, status: JwtStatus): string {
  if (value === undefined) return "";
  if (typeof value !== "string") throw new Malformed(status);
  return value;
}

function secondsClaim(value: MetadataValue | undefined, name: "iat" | "nbf" | "exp"): number {
  if (value === undefined) return 0;
  if (typeof value !== "number")
    throw new Malformed(`Jwt payload [${name}] field is not an integer`);
  if (value < 0 || value >= UINT64_LIMIT)
    throw new Malformed(`Jwt payload [${name}] field is not a positive 64 bit integer`);
  return Math.floor(value);
}

function audienceClaim(value: MetadataValue | undefined): readonly string[] {
  if (value === undefined) return [];
  if (typeof value === "string") return [value];
  if (Array.isArray(value) && value.every((each) => typeof each === "string")) return value;
  throw new Malformed("Jwt payload [aud] field is not a string or string list");
}
