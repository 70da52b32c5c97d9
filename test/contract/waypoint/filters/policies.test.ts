/** rbac, cors, fault and header_mutation side by side with Envoy. */
import { after, before, suite, test } from "node:test";
import type { JsonObject } from "@bufbuild/protobuf";
import { withoutEnvoy } from "../../../support/envoy.ts";
import { type Asked, Bench, type Scenario, typeUrls } from "./bench.ts";
import { assertSame } from "./compare.ts";

function rbac(name: string, config: JsonObject): Scenario {
  return {
    name,
    filters: [{ name: "envoy.filters.http.rbac", config: { "@type": typeUrls.rbac, ...config } }],
  };
}

const anyone: JsonObject = { principals: [{ any: true }] };

function policy(permission: JsonObject): JsonObject {
  return { permissions: [permission], ...anyone };
}

function cors(name: string, policySettings: JsonObject): Scenario {
  const filter = "envoy.filters.http.cors";
  return {
    name,
    filters: [{ name: filter, config: { "@type": typeUrls.cors } }],
    perRoute: { [filter]: { "@type": typeUrls.corsPolicy, ...policySettings } },
  };
}

function fault(name: string, plan: JsonObject): Scenario {
  const filter = "envoy.filters.http.fault";
  return {
    name,
    filters: [{ name: filter, config: { "@type": typeUrls.fault } }],
    perRoute: { [filter]: { "@type": typeUrls.fault, ...plan } },
  };
}

const always: JsonObject = { numerator: 100 };
const header = (name: string, more: JsonObject): JsonObject => ({ header: { name, ...more } });

const rbacScenarios = [
  rbac("allow nothing", { rules: {} }),
  rbac("deny nothing", { rules: { action: "DENY" } }),
  rbac("log", { rules: { action: "LOG", policies: { p: policy({ any: true }) } } }),
  rbac("allow by header", {
    rules: {
      policies: {
        "a policy": policy(header("x-a", { stringMatch: { prefix: "ab" } })),
        range: policy(header("x-n", { rangeMatch: { start: "5", end: "8" } })),
        inverted: policy({
          andRules: {
            rules: [
              header("x-i", { stringMatch: { exact: "1" }, invertMatch: true }),
              header("x-go", { presentMatch: true }),
            ],
          },
        }),
        absent: policy({
          andRules: {
            rules: [
              header("x-gone", { presentMatch: false }),
              header("x-go", { stringMatch: { suffix: "Y", ignoreCase: true } }),
            ],
          },
        }),
      },
    },
  }),
  rbac("deny, names with spaces", {
    rules: {
      action: "DENY",
      policies: {
        "b c": policy(header(":method", { stringMatch: { exact: "DELETE" } })),
        "a b": policy(header(":method", { stringMatch: { safeRegex: { regex: "DEL.*" } } })),
        c: policy({ notRule: header(":authority", { stringMatch: { contains: "shop" } }) }),
      },
    },
  }),
  rbac("paths", {
    rules: {
      policies: {
        exact: policy({ urlPath: { path: { exact: "/exact" } } }),
        prefix: policy({ urlPath: { path: { prefix: "/pre", ignoreCase: true } } }),
        regex: policy({ urlPath: { path: { safeRegex: { regex: "/r[0-9]+" } } } }),
        ...Object.fromEntries(
          ["/t/*/x/**", "/u/{a}/b/{c=**}", "/v/*.html", "/w/**"].map((pathTemplate, index) => [
            `template${index}`,
            policy({
              uriTemplate: {
                name: "template",
                typedConfig: {
                  "@type":
                    "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
                  pathTemplate,
                },
              },
            }),
          ]),
        ),
      },
    },
  }),
  rbac("addresses", {
    rules: {
      policies: {
        remote: {
          permissions: [{ any: true }],
          principals: [{ remoteIp: { addressPrefix: "10.1.0.0", prefixLen: 16 } }],
        },
        direct: {
          permissions: [header("x-direct", { presentMatch: true })],
          principals: [{ directRemoteIp: { addressPrefix: "127.0.0.0", prefixLen: 8 } }],
        },
        source: {
          permissions: [header("x-source", { presentMatch: true })],
          principals: [{ sourceIp: { addressPrefix: "127.0.0.1", prefixLen: 32 } }],
        },
        authenticated: {
          permissions: [header("x-authenticated", { presentMatch: true })],
          principals: [{ authenticated: {} }],
        },
      },
    },
  }),
  rbac("shadow denies, rules allow", {
    rules: { policies: { p: policy({ any: true }) } },
    shadowRules: {},
    shadowRulesStatPrefix: "x_",
  }),
];

const rbacRequests: Readonly<Record<string, Asked>> = {
  plain: {},
  DELETE: { method: "DELETE" },
  "another host": { authority: "else.example" },
  "x-a": { headers: { "x-a": "abc" } },
  "x-a, no": { headers: { "x-a": "xabc" } },
  "x-n below": { headers: { "x-n": "4" } },
  "x-n first": { headers: { "x-n": "5" } },
  "x-n end": { headers: { "x-n": "8" } },
  "x-n text": { headers: { "x-n": "6x" } },
  "x-go, x-i absent": { headers: { "x-go": "1" } },
  "x-go, x-i other": { headers: { "x-go": "1", "x-i": "2" } },
  "x-go, x-i same": { headers: { "x-go": "1", "x-i": "1" } },
  "x-go y": { headers: { "x-go": "y" } },
  "x-go y, x-gone": { headers: { "x-go": "y", "x-gone": "" } },
  ...Object.fromEntries(
    [
      "/exact",
      "/exact/",
      "/exact?q=1",
      "/PREfix",
      "/r12",
      "/r12/",
      "/r",
      "/t/a/x/",
      "/t/a/x/b/c",
      "/t/a/x",
      "/t//x/y",
      "/t/a/b/x/y",
      "/u/1/b/2/3",
      "/u/1/b",
      "/v/page.html",
      "/v/.html",
      "/v/a/page.html",
      "/w/",
      "/w",
      "/w/a?b=c",
    ].map((path) => [path, { path }]),
  ),
  "forwarded for": { headers: { "x-forwarded-for": "10.1.2.3" } },
  "forwarded for, last counts": { headers: { "x-forwarded-for": "10.2.2.3, 10.1.2.3" } },
  "forwarded for, first does not": { headers: { "x-forwarded-for": "10.1.2.3, 10.2.2.3" } },
  "forwarded for nonsense": { headers: { "x-forwarded-for": "nonsense", "x-direct": "1" } },
  "forwarded for with a port": { headers: { "x-forwarded-for": "10.1.2.3:80" } },
  direct: { headers: { "x-direct": "1" } },
  source: { headers: { "x-source": "1" } },
  authenticated: { headers: { "x-authenticated": "1" } },
};

const origins: JsonObject[] = [
  { exact: "https://a.example" },
  { safeRegex: { regex: "https://.*[.]b[.]example" } },
];
const full: JsonObject = {
  allowOriginStringMatch: origins,
  allowMethods: "GET,POST",
  allowHeaders: "x-a",
  exposeHeaders: "x-d",
  maxAge: "86400",
  allowCredentials: true,
  filterEnabled: { defaultValue: { numerator: 100 } },
};
const corsScenarios = [
  cors("full", full),
  cors("full, forwarding", { ...full, forwardNotMatchingPreflights: true }),
  cors("full, not forwarding", { ...full, forwardNotMatchingPreflights: false }),
  cors("bare", { allowOriginStringMatch: origins }),
  cors("any origin", { allowOriginStringMatch: [{ exact: "*" }] }),
  cors("private", { ...full, allowPrivateNetworkAccess: true }),
  cors("off", { ...full, filterEnabled: { defaultValue: { numerator: 0 } } }),
  cors("shadow", {
    allowOriginStringMatch: origins,
    shadowEnabled: { defaultValue: { numerator: 100 } },
  }),
  cors("no origins", { allowMethods: "GET" }),
];

const corsRequests: Readonly<Record<string, Asked>> = Object.fromEntries(
  [
    undefined,
    "",
    "https://a.example",
    "https://x.b.example",
    "https://evil.example",
    "null",
  ].flatMap((origin) =>
    ["GET", "OPTIONS"].flatMap((method) =>
      [undefined, "", "PUT"].flatMap((requested) =>
        [undefined, "true"].map((privately) => {
          const headers = {
            ...(origin === undefined ? {} : { origin }),
            ...(requested === undefined ? {} : { "access-control-request-method": requested }),
            ...(privately === undefined
              ? {}
              : { "access-control-request-private-network": privately }),
          };
          return [`${method} ${JSON.stringify(headers)}`, { method, headers }] as const;
        }),
      ),
    ),
  ),
);

const faultScenarios = [
  fault("abort 503", { abort: { httpStatus: 503, percentage: always } }),
  fault("abort 200", { abort: { httpStatus: 200, percentage: always } }),
  fault("abort never", { abort: { httpStatus: 503, percentage: { numerator: 0 } } }),
  fault("abort without percentage", { abort: { httpStatus: 503 } }),
  fault("abort gRPC", { abort: { grpcStatus: 14, percentage: always } }),
  fault("delay", { delay: { fixedDelay: "0.01s", percentage: always } }),
  fault("delay and abort", {
    delay: { fixedDelay: "0.01s", percentage: always },
    abort: { httpStatus: 418, percentage: always },
  }),
  fault("by header", {
    delay: { headerDelay: {}, percentage: always },
    abort: { headerAbort: {}, percentage: always },
  }),
  fault("for some", {
    abort: { httpStatus: 500, percentage: always },
    headers: [{ name: "x-fail", stringMatch: { exact: "1" } }],
    downstreamNodes: ["n1"],
  }),
];

const faultRequests: Readonly<Record<string, Asked>> = {
  plain: {},
  "abort asked": { headers: { "x-envoy-fault-abort-request": "429" } },
  "abort asked, bad": { headers: { "x-envoy-fault-abort-request": "42" } },
  "abort asked, text": { headers: { "x-envoy-fault-abort-request": "4x" } },
  "gRPC abort asked": { headers: { "x-envoy-fault-abort-grpc-request": "5" } },
  "abort asked, never": {
    headers: {
      "x-envoy-fault-abort-request": "429",
      "x-envoy-fault-abort-request-percentage": "0",
    },
  },
  "delay asked": { headers: { "x-envoy-fault-delay-request": "10" } },
  "both asked": {
    headers: { "x-envoy-fault-delay-request": "10", "x-envoy-fault-abort-request": "404" },
  },
  "some header": { headers: { "x-fail": "1", "x-envoy-downstream-service-node": "n1" } },
  "some header, other node": { headers: { "x-fail": "1", "x-envoy-downstream-service-node": "n" } },
  "some header, no node": { headers: { "x-fail": "1" } },
};

const mutations: Scenario = {
  name: "mutations",
  filters: [
    {
      name: "mutate",
      config: {
        "@type": typeUrls.headerMutation,
        mutations: {
          requestMutations: [
            { append: put("x-set", "%REQ(:METHOD)%-%REQ(x-in)%", "OVERWRITE_IF_EXISTS_OR_ADD") },
            { append: put("x-add", "a", "APPEND_IF_EXISTS_OR_ADD") },
            { append: put("x-absent", "b", "ADD_IF_ABSENT") },
            { remove: "x-gone" },
            { append: put("x-gone-2", "%REQ(x-gone)%", "OVERWRITE_IF_EXISTS_OR_ADD") },
          ],
          responseMutations: [{ append: put("x-answer", "1", "OVERWRITE_IF_EXISTS_OR_ADD") }],
        },
      },
    },
  ],
};

function put(key: string, value: string, appendAction: string): JsonObject {
  return { header: { key, value }, appendAction };
}

const mutationRequests: Readonly<Record<string, Asked>> = {
  plain: {},
  all: {
    headers: { "x-set": "0", "x-add": "0", "x-absent": "0", "x-gone": "0", "x-in": "in" },
  },
};

suite("policies as Envoy does them", { skip: withoutEnvoy }, () => {
  let bench: Bench;

  before(async () => {
    bench = await Bench.start([...rbacScenarios, ...corsScenarios, ...faultScenarios, mutations]);
  });

  after(async () => bench?.stop());

  const tables = [
    { scenarios: rbacScenarios, requests: rbacRequests },
    { scenarios: corsScenarios, requests: corsRequests },
    { scenarios: faultScenarios, requests: faultRequests },
    { scenarios: [mutations], requests: mutationRequests },
  ];
  for (const { scenarios, requests } of tables)
    for (const { name } of scenarios)
      test(name, async () => {
        await assertSame(bench, name, requests);
      });
});
