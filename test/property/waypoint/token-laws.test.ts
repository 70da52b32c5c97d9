/** Whatever a client or an identity provider sends: tokens, key sets and answers are read without an exception. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { grpcAnswer } from "../../../src/waypoint/filters/ext-authz/grpc-answer.ts";
import { parseKeys } from "../../../src/waypoint/filters/jwt/keys.ts";
import { parseToken } from "../../../src/waypoint/filters/jwt/token.ts";

const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

const claim = fc.oneof(fc.jsonValue(), fc.string(), fc.double(), fc.constant(undefined));
const header = fc.record({ alg: fc.oneof(fc.constant("RS256"), claim), kid: claim, crit: claim });
const payload = fc.record({
  iss: claim,
  sub: claim,
  aud: claim,
  exp: claim,
  nbf: claim,
  iat: claim,
  jti: claim,
});

test("any text is a token or is malformed", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string({ unit: fc.constantFrom(..."aA0_-.=é \n") }),
        fc
          .tuple(header, payload, fc.base64String())
          .map(([first, second, third]) => `${base64(first)}.${base64(second)}.${third}`),
      ),
      (text) => {
        const parsed = parseToken(text);
        if (parsed.kind === "token") {
          assert.ok(Number.isInteger(parsed.token.exp) && parsed.token.exp >= 0);
          assert.ok(parsed.token.aud.every((each) => typeof each === "string"));
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

const key = fc.record(
  {
    kty: fc.constantFrom("RSA", "EC", "oct", "OKP", 5, null),
    crv: fc.constantFrom("P-256", "P-521", "Ed25519", "x", 5),
    alg: fc.constantFrom("RS256", "ES256", "EdDSA", "HS256", "none", 5),
    n: fc.oneof(fc.base64String(), fc.jsonValue()),
    e: fc.constantFrom("AQAB", "Aw", "AQ", 3),
    x: fc.oneof(fc.base64String(), fc.jsonValue()),
    y: fc.oneof(fc.base64String(), fc.jsonValue()),
    k: fc.oneof(fc.base64String(), fc.jsonValue()),
    use: fc.constantFrom("sig", "enc", 5),
    key_ops: fc.oneof(fc.jsonValue(), fc.constant(["verify"])),
  },
  { requiredKeys: [] },
);

test("any text is a set of keys or is invalid", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.array(key).map((keys) => JSON.stringify({ keys })),
        fc
          .dictionary(fc.string(), fc.constant("-----BEGIN CERTIFICATE-----\nAA"))
          .map((each) => JSON.stringify(each)),
      ),
      (text) => {
        const parsed = parseKeys(text);
        if (parsed.kind === "keys") assert.ok(parsed.keys.size > 0);
        else assert.ok(parsed.reason.length > 0);
      },
    ),
    { numRuns: 1_000 },
  );
});

test("any octets are an authorization server's answer or an error", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const answer = grpcAnswer({ kind: "message", message: Buffer.from(bytes) });
      assert.ok(["ok", "denied", "error"].includes(answer.kind));
    }),
    { numRuns: 2_000 },
  );
});
