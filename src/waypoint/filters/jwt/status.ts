/** What may be wrong with a token or its keys, in the words that clients get to see from Envoy. */
import type { LocalReply } from "../../http/message.ts";

export type JwtStatus =
  | "OK"
  | "Jwt is missing"
  | "Jwt not yet valid"
  | "Jwt is expired"
  | "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"
  | "Jwt header is an invalid Base64url encoded"
  | "Jwt header is an invalid JSON"
  | "Jwt header [alg] field is required and must be a string"
  | "Jwt header [alg] is not supported"
  | "Jwt header [kid] field is not a string"
  | "Jwt payload is an invalid Base64url encoded"
  | "Jwt payload is an invalid JSON"
  | "Jwt payload [iss] field is not a string"
  | "Jwt payload [sub] field is not a string"
  | "Jwt payload [jti] field is not a string"
  | "Jwt payload [iat] field is not an integer"
  | "Jwt payload [iat] field is not a positive 64 bit integer"
  | "Jwt payload [nbf] field is not an integer"
  | "Jwt payload [nbf] field is not a positive 64 bit integer"
  | "Jwt payload [exp] field is not an integer"
  | "Jwt payload [exp] field is not a positive 64 bit integer"
  | "Jwt payload [aud] field is not a string or string list"
  | "Jwt signature is an invalid Base64url encoded"
  | "Jwt ED25519 signature is wrong length"
  | "Jwt issuer is not configured"
  | "Audiences in Jwt are not allowed"
  | "Jwt verification fails"
  | "Jwks doesn't have any valid public key"
  | "Jwks doesn't have key to match kid or alg from Jwt"
  | "Jwks remote fetch is failed";

/** The numbers of failed_status_in_metadata: positions in the reference's enumeration. */
export function statusCode(status: JwtStatus): number {
  return codes[status];
}

const codes: Readonly<Record<JwtStatus, number>> = {
  OK: 0,
  "Jwt is missing": 1,
  "Jwt not yet valid": 2,
  "Jwt is expired": 3,
  "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections": 4,
  "Jwt header is an invalid Base64url encoded": 5,
  "Jwt header is an invalid JSON": 6,
  "Jwt header [alg] field is required and must be a string": 7,
  "Jwt header [alg] is not supported": 8,
  "Jwt header [kid] field is not a string": 9,
  "Jwt payload is an invalid Base64url encoded": 10,
  "Jwt payload is an invalid JSON": 11,
  "Jwt payload [iss] field is not a string": 12,
  "Jwt payload [sub] field is not a string": 13,
  "Jwt payload [iat] field is not an integer": 14,
  "Jwt payload [iat] field is not a positive 64 bit integer": 15,
  "Jwt payload [nbf] field is not an integer": 16,
  "Jwt payload [nbf] field is not a positive 64 bit integer": 17,
  "Jwt payload [exp] field is not an integer": 18,
  "Jwt payload [exp] field is not a positive 64 bit integer": 19,
  "Jwt payload [jti] field is not a string": 20,
  "Jwt payload [aud] field is not a string or string list": 21,
  "Jwt signature is an invalid Base64url encoded": 22,
  "Jwt ED25519 signature is wrong length": 23,
  "Jwt issuer is not configured": 24,
  "Audiences in Jwt are not allowed": 25,
  "Jwt verification fails": 26,
  "Jwks doesn't have any valid public key": 31,
  "Jwks doesn't have key to match kid or alg from Jwt": 32,
  "Jwks remote fetch is failed": 40,
};

/** The answer to a request whose tokens do not do. `uri` is the request's, for the realm (RFC 6750 section 3). */
export function rejection(status: JwtStatus, uri: string, strip: boolean): LocalReply {
  const forbidden = status === "Audiences in Jwt are not allowed";
  const details = `jwt_authn_access_denied{${status.replaceAll(" ", "_")}}`;
  const code = forbidden ? 403 : 401;
  if (strip) return { status: code, body: "", details, flags: [] };
  const challenge = `Bearer realm="${uri}"${status === "Jwt is missing" ? "" : ', error="invalid_token"'}`;
  return {
    status: code,
    body: status,
    fields: [["www-authenticate", challenge]],
    details,
    flags: [],
  };
}
