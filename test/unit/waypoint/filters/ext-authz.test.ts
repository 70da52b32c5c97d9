/** Authorization servers: what a connection is asked about, gates, and answers that must not be carried out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, fromJson, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { FilterSchema } from "../../../../src/shared/wire/gen/envoy/config/listener/v3/listener_components_pb.js";
import { ExtAuthzSchema } from "../../../../src/shared/wire/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { ExtAuthzSchema as NetworkSchema } from "../../../../src/shared/wire/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js";
import { HttpFilterSchema } from "../../../../src/shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import {
  CheckRequestSchema,
  CheckResponseSchema,
} from "../../../../src/shared/wire/gen/envoy/service/auth/v3/external_auth_pb.js";
import {
  compileHttpFilter,
  compileNetworkFilter,
} from "../../../../src/waypoint/compile/filters/registry.ts";
import { Notes } from "../../../../src/waypoint/compile/notes.ts";
import type { UnaryOutcome } from "../../../../src/waypoint/filters/upstream-calls.ts";
import {
  filterEnvironment,
  head,
  packed,
  ScriptedCalls,
  TestConnection,
  TestRequest,
  verdictOf,
} from "../../../support/filters.ts";

const service: JsonObject = {
  grpcService: { envoyGrpc: { clusterName: "authz" }, timeout: "600s" },
};

function answered(json: JsonObject): UnaryOutcome {
  const response = fromJson(CheckResponseSchema, json);
  return { kind: "message", message: Buffer.from(toBinary(CheckResponseSchema, response)) };
}

const yes = answered({});
const no = answered({ status: { code: 7 } });
const broken: UnaryOutcome = { kind: "failed", reason: "timeout", detail: "600 s" };

function httpFilter(config: JsonObject, calls: ScriptedCalls) {
  const typedConfig = packed(ExtAuthzSchema, fromJson(ExtAuthzSchema, { ...service, ...config }));
  const message = create(HttpFilterSchema, {
    name: "authz",
    configType: { case: "typedConfig", value: typedConfig },
  });
  const compiled = compileHttpFilter(message, "", new Notes(), filterEnvironment(calls));
  if (compiled.kind !== "filter") throw new Error("no filter");
  return compiled.filter;
}

function networkFilter(config: JsonObject, calls: ScriptedCalls) {
  const typedConfig = packed(NetworkSchema, fromJson(NetworkSchema, { ...service, ...config }));
  const message = create(FilterSchema, {
    name: "authz",
    configType: { case: "typedConfig", value: typedConfig },
  });
  const compiled = compileNetworkFilter(message, "", new Notes(), filterEnvironment(calls));
  if (compiled.kind !== "filter") throw new Error("no filter");
  return compiled.filter;
}

/** As istiod gates it: by what the shadow rules of the filter before said (wire/waypoint.md section 6.3). */
const gate = (filter: string): JsonObject => ({
  filterEnabledMetadata: {
    filter,
    path: [{ key: "istio_ext_authz_shadow_effective_policy_id" }],
    value: { stringMatch: { prefix: "istio-ext-authz-opa" } },
  },
});

function gatedBy(filter: string, policy: string | undefined) {
  const values = policy === undefined ? {} : { istio_ext_authz_shadow_effective_policy_id: policy };
  return { metadata: { [filter]: values } };
}

test("a request is asked about only if a policy of the provider matches", async () => {
  const filterName = "envoy.filters.http.rbac";
  const calls = new ScriptedCalls(undefined, () => no);
  const filter = httpFilter(gate(filterName), calls);
  for (const policy of [undefined, "istio-ext-authz-else-ns[a]-policy[b]-rule[0]"])
    assert.equal(await verdictOf(filter, new TestRequest(gatedBy(filterName, policy))), "continue");
  assert.equal(calls.unaryCalls.length, 0);
  const request = new TestRequest(
    gatedBy(filterName, "istio-ext-authz-opa-ns[a]-policy[b]-rule[0]"),
  );
  const verdict = await verdictOf(filter, request);
  assert.deepEqual(verdict === "continue" ? verdict : [verdict.status, verdict.flags], [
    403,
    ["UAEX"],
  ]);
  assert.deepEqual(request.notes, [
    { filter: "authz", outcome: "denied", reason: "authz answers 403" },
  ]);
  const [call] = calls.unaryCalls;
  assert.deepEqual(
    [call?.cluster, call?.authority, call?.timeoutMs, call?.service, call?.method],
    ["authz", "authz", 600_000, "envoy.service.auth.v3.Authorization", "Check"],
  );
});

test("the server learns who asks: the tunnel's client, and the address it dialed", async () => {
  const calls = new ScriptedCalls(undefined, () => yes);
  await verdictOf(httpFilter({ includeTlsSession: true }, calls), new TestRequest());
  const message = calls.unaryCalls[0]?.message ?? new Uint8Array();
  const { attributes } = fromBinary(CheckRequestSchema, message);
  assert.equal(attributes?.source?.principal, "spiffe://cluster.local/ns/shop/sa/web");
  assert.equal(attributes?.destination?.principal, "spiffe://cluster.local/ns/shop/sa/waypoint");
  assert.deepEqual(attributes?.source?.address?.address.value, {
    ...attributes?.source?.address?.address.value,
    address: "10.10.1.10",
  });
});

/** Answers that would split a message, or are nonsense. */
const invalid: readonly (readonly [name: string, answer: JsonObject])[] = [
  ["a line break for the upstream", ok({ headers: [header("x", "a\r\nb: c")] })],
  ["a line break for the client", ok({ responseHeadersToAdd: [header("x", "a\nb")] })],
  ["a bad name", ok({ headers: [header("x y", "a")] })],
  [
    "a line break in a denial",
    { status: { code: 7 }, deniedResponse: { headers: [header("x", "a\rb")] } },
  ],
];

function ok(response: JsonObject): JsonObject {
  return { okResponse: response };
}

function header(key: string, value: string): JsonObject {
  return { header: { key, value } };
}

for (const [name, answer] of invalid)
  test(`an answer is not carried out, even where failures allow: ${name}`, async () => {
    const calls = new ScriptedCalls(undefined, () => answered(answer));
    const request = new TestRequest();
    const verdict = await verdictOf(httpFilter({ failureModeAllow: true }, calls), request);
    assert.equal(verdict === "continue" ? verdict : verdict.status, 500);
    assert.deepEqual(request.head.fields.flat, []);
  });

test("framing, pseudo-headers and Host are not the server's to take away", async () => {
  const answer = ok({
    headersToRemove: [":path", ":method", "host", "content-length", "x-gone"],
    headers: [header("content-length", "5"), header("transfer-encoding", "chunked")],
  });
  const calls = new ScriptedCalls(undefined, () => answered(answer));
  const request = new TestRequest({
    head: head("/", { "content-length": "3", "x-gone": "1" }, { method: "POST" }),
  });
  assert.equal(await verdictOf(httpFilter({}, calls), request), "continue");
  assert.deepEqual(request.head.fields.flat, ["content-length", "3"]);
});

test("a denial with a status that is none is a 403", async () => {
  for (const code of [100, 700]) {
    const bytes = toBinary(
      CheckResponseSchema,
      create(CheckResponseSchema, {
        status: { code: 7 },
        httpResponse: { case: "deniedResponse", value: { status: { code: code as 200 } } },
      }),
    );
    const calls = new ScriptedCalls(undefined, () => ({
      kind: "message",
      message: Buffer.from(bytes),
    }));
    const verdict = await verdictOf(httpFilter({}, calls), new TestRequest());
    assert.equal(verdict === "continue" ? verdict : verdict.status, 403);
  }
});

test("octets that are no answer are a failure", async () => {
  const calls = new ScriptedCalls(undefined, () => ({
    kind: "message",
    message: Buffer.from([0xff, 0xff]),
  }));
  const verdict = await verdictOf(httpFilter({}, calls), new TestRequest());
  assert.deepEqual(verdict === "continue" ? verdict : [verdict.status, verdict.details], [
    403,
    "ext_authz_error",
  ]);
});

test("a body that is too large is refused where parts are not allowed", async () => {
  const calls = new ScriptedCalls(undefined, () => yes);
  const filter = httpFilter({ withRequestBody: { maxRequestBytes: 4 } }, calls);
  const verdict = await verdictOf(filter, new TestRequest({ body: "12345" }), false);
  assert.equal(verdict === "continue" ? verdict : verdict.status, 413);
  assert.equal(calls.unaryCalls.length, 0);
});

test("the body of an upgrade is not waited for", async () => {
  const calls = new ScriptedCalls(undefined, () => yes);
  const filter = httpFilter({ withRequestBody: { maxRequestBytes: 4 } }, calls);
  const request = new TestRequest({ head: head("/", {}, { upgrade: "websocket" }) });
  assert.equal(await verdictOf(filter, request, false), "continue");
  assert.deepEqual(request.bodyAsked, []);
});

/** Connections: outcome of the call and failure mode → verdict. */
const connections: readonly (readonly [
  name: string,
  outcome: UnaryOutcome,
  failureModeAllow: boolean,
  details: string,
])[] = [
  ["yes", yes, false, ""],
  ["no", no, false, "ext_authz_denied"],
  ["no, failures allow", no, true, "ext_authz_denied"],
  ["broken", broken, false, "ext_authz_error"],
  ["broken, failures allow", broken, true, ""],
];

for (const [name, outcome, failureModeAllow, details] of connections)
  test(`a connection is asked about: ${name}`, async () => {
    const calls = new ScriptedCalls(undefined, () => outcome);
    const filter = networkFilter({ failureModeAllow }, calls);
    const verdict = await filter.onConnection(new TestConnection({}));
    assert.deepEqual(
      verdict,
      details === "" ? { kind: "continue" } : { kind: "close", flags: ["UAEX"], details },
    );
  });

test("a connection is asked about only if a policy of the provider matches", async () => {
  const filterName = "envoy.filters.network.rbac";
  const calls = new ScriptedCalls(undefined, () => no);
  const filter = networkFilter(gate(filterName), calls);
  assert.deepEqual(await filter.onConnection(new TestConnection({})), { kind: "continue" });
  assert.equal(calls.unaryCalls.length, 0);
});
