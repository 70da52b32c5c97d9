/** ext_authz side by side with Envoy: what the server is asked, and what comes of its answers. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { type JsonObject, toJson } from "@bufbuild/protobuf";
import {
  type CheckRequest,
  CheckRequestSchema,
} from "../../../../src/shared/wire/gen/envoy/service/auth/v3/external_auth_pb.js";
import { withoutEnvoy } from "../../../support/envoy.ts";
import { GrpcAuthzServer, HttpAuthzServer, nodeCalls } from "./authz-servers.ts";
import { type Asked, Bench, type Scenario, typeUrls } from "./bench.ts";
import { assertSame } from "./compare.ts";

function scenario(name: string, config: JsonObject): Scenario {
  return {
    name,
    filters: [
      {
        name: "envoy.filters.http.ext_authz",
        config: { "@type": typeUrls.extAuthz, transportApiVersion: "V3", ...config },
      },
    ],
  };
}

function http(cluster: string, more: JsonObject = {}): JsonObject {
  return {
    httpService: { serverUri: { uri: `http://${cluster}`, cluster, timeout: "2s" }, ...more },
  };
}

function grpc(cluster: string): JsonObject {
  return { grpcService: { envoyGrpc: { clusterName: cluster }, timeout: "2s" } };
}

/** `decide` is how the server knows what to answer: it must see it. */
const allowedHeaders: JsonObject = {
  patterns: [{ exact: "x-decide", ignoreCase: true }, { prefix: "x-show" }],
};
const only = (name: string): JsonObject => ({ patterns: [{ exact: name }] });

const httpScenarios = [
  scenario("HTTP", { ...http("http-authz"), allowedHeaders }),
  scenario("HTTP with everything", {
    ...http("http-authz", {
      pathPrefix: "/check",
      authorizationRequest: { headersToAdd: [{ key: "x-extra", value: "1" }] },
      authorizationResponse: {
        allowedUpstreamHeaders: only("x-user"),
        allowedUpstreamHeadersToAppend: only("x-more"),
        allowedClientHeaders: only("x-why"),
        allowedClientHeadersOnSuccess: only("x-seen"),
      },
    }),
    allowedHeaders,
    disallowedHeaders: only("x-show-not"),
    clearRouteCache: true,
    withRequestBody: { maxRequestBytes: 10, allowPartialMessage: true },
    statusOnError: { code: "ServiceUnavailable" },
  }),
  scenario("HTTP that may fail", {
    ...http("http-authz"),
    allowedHeaders,
    failureModeAllow: true,
    failureModeAllowHeaderAdd: true,
  }),
  scenario("HTTP nobody answers", { ...http("dead"), allowedHeaders }),
  scenario("HTTP nobody answers, may fail", {
    ...http("dead"),
    allowedHeaders,
    failureModeAllow: true,
  }),
];

const grpcScenarios = [
  scenario("gRPC", grpc("grpc-authz")),
  scenario("gRPC with everything", {
    ...grpc("grpc-authz"),
    allowedHeaders,
    withRequestBody: { maxRequestBytes: 10, allowPartialMessage: true, packAsBytes: true },
    statusOnError: { code: "ServiceUnavailable" },
    clearRouteCache: true,
  }),
  scenario("gRPC with a body", {
    ...grpc("grpc-authz"),
    withRequestBody: { maxRequestBytes: 1000 },
  }),
  scenario("gRPC that may fail", {
    ...grpc("grpc-authz"),
    failureModeAllow: true,
    failureModeAllowHeaderAdd: true,
  }),
  scenario("gRPC nobody answers", grpc("dead-grpc")),
];

const decisions = [
  "yes",
  "yes, headers",
  "yes, removes",
  "no",
  "no, page",
  "no, redirect",
  "no, cookies",
  "error",
  "unavailable",
  "created",
  "no status",
  "bad status",
  "query",
  "append",
  "response headers",
];

const requests: Readonly<Record<string, Asked>> = {
  ...Object.fromEntries(
    decisions.map((decide) => [
      decide,
      {
        path: "/a?b=1&c=2",
        headers: {
          "x-decide": decide,
          "x-show-1": "a",
          "x-show-not": "b",
          "x-hidden": "c",
          "x-user": "me",
          "x-more": "m",
          "x-gone": "g",
          authorization: "Basic eA==",
          cookie: "a=b",
        },
      },
    ]),
  ),
  "yes, headers that were not there": { headers: { "x-decide": "yes, headers" } },
  "small body": { method: "POST", body: "12345", headers: { "x-decide": "yes" } },
  "large body": { method: "POST", body: "1234567890abc", headers: { "x-decide": "yes" } },
  "small body, no": { method: "PUT", body: "12345", headers: { "x-decide": "no" } },
};

suite("ext_authz as Envoy does it", { skip: withoutEnvoy }, () => {
  let bench: Bench;
  let httpServer: HttpAuthzServer;
  let grpcServer: GrpcAuthzServer;

  before(async () => {
    httpServer = await HttpAuthzServer.start({
      yes: [200, { "x-ignored": "1" }, ""],
      "yes, headers": [200, { "x-user": "u", "x-more": "n", "x-seen": "s", "x-why": "w" }, ""],
      "yes, removes": [200, { "x-envoy-auth-headers-to-remove": "x-gone, x-hidden,:path" }, ""],
      no: [403, {}, ""],
      "no, page": [
        401,
        { "content-type": "text/html", "x-why": "w", "www-authenticate": "B" },
        "<p>",
      ],
      "no, redirect": [302, { location: "https://login.example/", "x-user": "u" }, ""],
      "no, cookies": [403, { "set-cookie": ["a=1", "b=2"], "x-why": "w" }, "no"],
      error: [500, { "x-why": "w" }, "broken"],
      unavailable: [503, {}, ""],
      created: [201, { "x-user": "u" }, "c"],
    });
    const option = (key: string, value: string, more = {}) => ({ header: { key, value }, ...more });
    grpcServer = await GrpcAuthzServer.start({
      "yes, headers": {
        response: {
          status: { code: 0 },
          httpResponse: {
            case: "okResponse",
            value: {
              headers: [
                option("x-user", "u"),
                option("x-more", "n", { append: true }),
                option("x-new", "n", { append: true }),
                option("x-set", "s", { append: false }),
              ],
            },
          },
        },
      },
      "yes, removes": {
        response: {
          httpResponse: {
            case: "okResponse",
            value: { headersToRemove: ["x-gone", ":path", "Host", "x-hidden"] },
          },
        },
      },
      no: { response: { status: { code: 7 } } },
      "no, page": {
        response: {
          status: { code: 16 },
          httpResponse: {
            case: "deniedResponse",
            value: {
              status: { code: 401 },
              headers: [option("x-why", "w"), option("content-type", "text/html")],
              body: "<p>",
            },
          },
        },
      },
      "no, redirect": {
        response: {
          status: { code: 7 },
          httpResponse: {
            case: "deniedResponse",
            value: {
              status: { code: 302 },
              headers: [option("location", "https://login.example/")],
            },
          },
        },
      },
      "no, cookies": {
        response: {
          status: { code: 7 },
          httpResponse: {
            case: "deniedResponse",
            value: { headers: [option("set-cookie", "a=1"), option("set-cookie", "b=2")] },
          },
        },
      },
      error: { status: 13 },
      unavailable: { status: 14 },
      "no status": { response: {} },
      query: {
        response: {
          httpResponse: {
            case: "okResponse",
            value: {
              queryParametersToSet: [
                { key: "b", value: "9" },
                { key: "d", value: "4" },
              ],
              queryParametersToRemove: ["c"],
            },
          },
        },
      },
      "response headers": {
        response: {
          httpResponse: {
            case: "okResponse",
            value: {
              responseHeadersToAdd: [
                option("x-seen", "s"),
                option("x-seen-2", "t", { append: true }),
              ],
            },
          },
        },
      },
    });
    const [first, second] = [httpServer.port, grpcServer.port];
    bench = await Bench.start(
      [...httpScenarios, ...grpcScenarios],
      [
        { name: "http-authz", port: first },
        { name: "grpc-authz", port: second, http2: true },
        { name: "dead", port: 1 },
        { name: "dead-grpc", port: 1, http2: true },
      ],
      nodeCalls({ "http-authz": first, "grpc-authz": second, dead: 1, "dead-grpc": 1 }),
    );
  });

  after(async () => {
    await bench?.stop();
    httpServer?.stop();
    grpcServer?.stop();
  });

  for (const { name } of httpScenarios)
    test(name, async () => {
      httpServer.questions.length = 0;
      await assertSame(bench, name, requests);
      const { questions } = httpServer;
      for (let at = 0; at + 1 < questions.length; at += 2)
        assert.deepEqual(questions[at + 1], questions[at], `question ${at}`);
    });

  for (const { name } of grpcScenarios)
    test(name, async () => {
      grpcServer.questions.length = 0;
      await assertSame(bench, name, requests);
      const { questions } = grpcServer;
      for (let at = 0; at + 1 < questions.length; at += 2)
        assert.deepEqual(
          comparable(questions[at + 1]),
          comparable(questions[at]),
          `question ${at}`,
        );
    });
});

/** Without what differs from request to request. */
function comparable(question: CheckRequest | undefined): unknown {
  if (question === undefined) return undefined;
  const { attributes } = toJson(CheckRequestSchema, question) as {
    attributes: { request?: { http?: Record<string, unknown> & { headers?: object } } };
  };
  const asked = attributes.request?.http;
  const headers = Object.entries(asked?.headers ?? {}).filter(
    ([name]) => name !== "x-request-id" && name !== "connection",
  );
  return { ...asked, id: "", headers: Object.fromEntries(headers.sort()) };
}
