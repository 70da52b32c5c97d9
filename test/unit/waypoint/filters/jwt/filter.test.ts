/** The token filter between keys that come late and tokens that are known. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import { SignJWT } from "jose";
import { JwtAuthenticationSchema } from "../../../../../src/shared/wire/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { compileJwtConfig } from "../../../../../src/waypoint/compile/filters/jwt.ts";
import { Notes } from "../../../../../src/waypoint/compile/notes.ts";
import { JwtFilter } from "../../../../../src/waypoint/filters/jwt/filter.ts";
import type { HttpOutcome } from "../../../../../src/waypoint/filters/upstream-calls.ts";
import { FakeClock } from "../../../../support/clock.ts";
import {
  filterEnvironment,
  head,
  ScriptedCalls,
  TestRequest,
  verdictOf,
} from "../../../../support/filters.ts";

const START_S = 1_790_000_000;
const secret = Buffer.from("a secret of thirty-two octets, or so");
const jwks = JSON.stringify({
  keys: [{ kty: "oct", kid: "1", k: secret.toString("base64url") }],
});

function token(claims: JsonObject = {}): Promise<string> {
  return new SignJWT({ iss: "i", sub: "u", exp: START_S + 600, ...claims })
    .setProtectedHeader({ alg: "HS256", kid: "1" })
    .sign(secret);
}

function stage(provider: JsonObject, outcome?: () => HttpOutcome | Promise<HttpOutcome>) {
  const clock = new FakeClock(START_S * 1000);
  const calls = new ScriptedCalls(outcome);
  const message = fromJson(JwtAuthenticationSchema, {
    providers: { p: { issuer: "i", payloadInMetadata: "payload", ...provider } },
    rules: [{ match: { prefix: "/" }, requires: { providerName: "p" } }],
  });
  const config = compileJwtConfig(message, "", new Notes());
  return { clock, calls, filter: new JwtFilter("jwt", config, filterEnvironment(calls, clock)) };
}

const local = { localJwks: { inlineString: jwks } };
const remote = {
  remoteJwks: {
    httpUri: { uri: "https://i.example/keys", cluster: "keys", timeout: "5s" },
    cacheDuration: "300s",
  },
};
const fetched = (): HttpOutcome => ({
  kind: "answer",
  answer: { status: 200, fields: [], body: Buffer.from(jwks) },
});

function bearer(text: string): TestRequest {
  return new TestRequest({ head: head("/", { authorization: `Bearer ${text}` }) });
}

test("a token is verified once; after that the filter answers without waiting", async () => {
  const { filter } = stage(local);
  const text = await token();
  const first = filter.onRequest(bearer(text));
  assert.ok(first instanceof Promise);
  assert.deepEqual(await first, { kind: "continue" });
  const again = bearer(text);
  assert.deepEqual(filter.onRequest(again), { kind: "continue" });
  assert.deepEqual(again.metadata.get("envoy.filters.http.jwt_authn"), {
    payload: { iss: "i", sub: "u", exp: START_S + 600 },
  });
});

test("a known token expires all the same", async () => {
  const { filter, clock } = stage(local);
  const text = await token();
  await filter.onRequest(bearer(text));
  await clock.advance(660_000);
  assert.deepEqual(filter.onRequest(bearer(text)), { kind: "continue" });
  await clock.advance(1_000);
  const verdict = await verdictOf(filter, bearer(text));
  assert.equal(verdict === "continue" ? verdict : verdict.body, "Jwt is expired");
});

test("claims that are lists of words become lists", async () => {
  const { filter } = stage({
    ...local,
    normalizePayloadInMetadata: { spaceDelimitedClaims: ["scope"] },
    headerInMetadata: "header",
  });
  const request = bearer(await token({ scope: "a  b", other: "c d" }));
  await filter.onRequest(request);
  assert.deepEqual(request.metadata.get("envoy.filters.http.jwt_authn"), {
    header: { alg: "HS256", kid: "1" },
    payload: { iss: "i", sub: "u", exp: START_S + 600, scope: ["a", "b"], other: "c d" },
  });
});

test("the route is chosen anew only when the provider says so", async () => {
  for (const clearRouteCache of [false, true]) {
    const { filter } = stage({ ...local, clearRouteCache });
    const request = bearer(await token());
    await filter.onRequest(request);
    assert.equal(request.routesCleared, clearRouteCache ? 1 : 0);
  }
});

test("why a token failed may be put into metadata", async () => {
  const { filter } = stage({ ...local, failedStatusInMetadata: "failed" });
  const request = bearer(await token({ exp: START_S - 100 }));
  await filter.onRequest(request);
  assert.deepEqual(request.metadata.get("envoy.filters.http.jwt_authn"), {
    failed: { code: "3", message: "Jwt is expired" },
  });
});

test("requests wait for keys that are on their way, all for one fetch", async () => {
  let deliver: (outcome: HttpOutcome) => void = () => undefined;
  const { filter, calls } = stage(
    remote,
    () =>
      new Promise((resolve) => {
        deliver = resolve;
      }),
  );
  const text = await token();
  const waiting = [1, 2, 3].map(() => filter.onRequest(bearer(text)));
  const bad = verdictOf(filter, bearer(`${text.slice(0, -4)}AAAA`));
  assert.equal(calls.httpCalls.length, 1);
  deliver(fetched());
  assert.deepEqual(await Promise.all(waiting), Array(3).fill({ kind: "continue" }));
  const verdict = await bad;
  assert.equal(verdict === "continue" ? verdict : verdict.status, 401);
  assert.equal(calls.httpCalls.length, 1);
});

test("without keys every token is refused", async () => {
  const { filter } = stage(remote, () => ({
    kind: "failed",
    reason: "timeout",
    detail: "5000 ms",
  }));
  const verdict = await verdictOf(filter, bearer(await token()));
  assert.deepEqual(verdict === "continue" ? verdict : [verdict.status, verdict.body], [
    401,
    "Jwks remote fetch is failed",
  ]);
});

test("a token that is no token costs no fetch", async () => {
  const { filter, calls } = stage(remote, fetched);
  for (const text of ["x", "a.b.c", await token({ iss: "else" }), await token({ exp: 5 })]) {
    const verdict = filter.onRequest(bearer(text));
    assert.ok(!(verdict instanceof Promise) && verdict.kind === "reply");
  }
  assert.equal(calls.httpCalls.length, 0);
});

test("new keys forget the tokens of old ones", async () => {
  let keys = jwks;
  const { filter, clock } = stage(remote, () => ({
    kind: "answer",
    answer: { status: 200, fields: [], body: Buffer.from(keys) },
  }));
  const text = await token({ exp: START_S + 10_000 });
  assert.equal(await verdictOf(filter, bearer(text)), "continue");
  keys = JSON.stringify({ keys: [{ kty: "oct", kid: "2", k: "AQAB" }] });
  await clock.advance(300_000);
  const verdict = await verdictOf(filter, bearer(text));
  assert.equal(
    verdict === "continue" ? verdict : verdict.body,
    "Jwks doesn't have key to match kid or alg from Jwt",
  );
});
