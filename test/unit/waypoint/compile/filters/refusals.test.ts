/** What is refused, and where the message points. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { FilterSchema } from "../../../../../src/shared/wire/gen/envoy/config/listener/v3/listener_components_pb.js";
import { FilterConfigSchema as ForwardSchema } from "../../../../../src/shared/wire/gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.js";
import { ExtAuthzSchema } from "../../../../../src/shared/wire/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { HTTPFaultSchema } from "../../../../../src/shared/wire/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { JwtAuthenticationSchema } from "../../../../../src/shared/wire/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { RBACSchema } from "../../../../../src/shared/wire/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { ConfigSchema } from "../../../../../src/shared/wire/gen/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js";
import { HttpFilterSchema } from "../../../../../src/shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { compileJwtConfig } from "../../../../../src/waypoint/compile/filters/jwt.ts";
import { compileEngines } from "../../../../../src/waypoint/compile/filters/rbac.ts";
import {
  compileHttpFilter,
  compileNetworkFilter,
  compilePerRoute,
} from "../../../../../src/waypoint/compile/filters/registry.ts";
import { CompileError, Notes } from "../../../../../src/waypoint/compile/notes.ts";
import { filterEnvironment, packed } from "../../../../support/filters.ts";

const environment = filterEnvironment();

function problem(compile: (notes: Notes) => unknown): string {
  try {
    compile(new Notes());
  } catch (error) {
    assert.ok(error instanceof CompileError, String(error));
    return error.message;
  }
  return "accepted";
}

function httpFilter(schema: Parameters<typeof packed>[0], config: JsonObject): string {
  const typedConfig = packed(schema, fromJson(schema, config));
  const message = create(HttpFilterSchema, {
    name: "f",
    configType: { case: "typedConfig", value: typedConfig },
  });
  return problem((notes) => compileHttpFilter(message, "http_filters[0]", notes, environment));
}

const any = { any: true };
const rbac = (policy: JsonObject): JsonObject => ({ rules: { policies: { p: policy } } });
const at = "http_filters[0].typed_config";

/** RBAC policies that could not be evaluated as they are meant. */
const policies: readonly (readonly [policy: JsonObject, message: string])[] = [
  [{ permissions: [any] }, `${at}.rules.policies[p].principals: is empty`],
  [{ principals: [any] }, `${at}.rules.policies[p].permissions: is empty`],
  [{ permissions: [{}], principals: [any] }, `${at}.rules.policies[p].permissions[0]: has no rule`],
  [
    { permissions: [any], principals: [{ notId: {} }] },
    `${at}.rules.policies[p].principals[0].not_id: has no identifier`,
  ],
  [
    { permissions: [{ andRules: {} }], principals: [any] },
    `${at}.rules.policies[p].permissions[0].and_rules.rules: is empty`,
  ],
  [
    { permissions: [{ any: false }], principals: [any] },
    `${at}.rules.policies[p].permissions[0].any: must be true`,
  ],
  [
    {
      permissions: [any],
      principals: [{ directRemoteIp: { addressPrefix: "10.0.0", prefixLen: 8 } }],
    },
    `${at}.rules.policies[p].principals[0].direct_remote_ip: 10.0.0/8 is not a prefix`,
  ],
  [
    {
      permissions: [any],
      principals: [{ remoteIp: { addressPrefix: "10.0.0.0", prefixLen: 33 } }],
    },
    `${at}.rules.policies[p].principals[0].remote_ip: 10.0.0.0/33 is not a prefix`,
  ],
  [
    {
      permissions: [any],
      principals: [{ filterState: { key: "other", stringMatch: { exact: "x" } } }],
    },
    `${at}.rules.policies[p].principals[0].filter_state.key: other is not supported`,
  ],
  [
    { permissions: [{ destinationPortRange: { start: 5, end: 5 } }], principals: [any] },
    `${at}.rules.policies[p].permissions[0].destination_port_range: is empty`,
  ],
  [
    { permissions: [{ uriTemplate: { name: "x" } }], principals: [any] },
    `${at}.rules.policies[p].permissions[0].uri_template: is not a URI template`,
  ],
  [
    { permissions: [any], principals: [any], condition: {} },
    `${at}.rules.policies[p].condition: is not supported`,
  ],
];

for (const [policy, message] of policies)
  test(`rbac: ${message}`, () => assert.equal(httpFilter(RBACSchema, rbac(policy)), message));

test("rbac: a matcher tree is refused, a rule's statistics are not", () => {
  assert.equal(httpFilter(RBACSchema, { matcher: {} }), `${at}.matcher: is not supported`);
  assert.equal(httpFilter(RBACSchema, { trackPerRuleStats: true }), "accepted");
});

test("rbac: policies stand in the order of their names' octets", () => {
  const everybody = { permissions: [any], principals: [any] };
  const message = fromJson(RBACSchema, {
    rules: {
      policies: { b: everybody, "\u{1f600}": everybody, "\uffff": everybody, a: everybody },
    },
  });
  const { rules } = compileEngines(message, "", new Notes());
  assert.deepEqual(
    rules?.policies.map(({ id }) => id),
    ["a", "b", "\uffff", "\u{1f600}"],
  );
});

const keys = { localJwks: { inlineString: '{"keys":[{"kty":"oct","k":"AQ"}]}' } };

/** jwt_authn that would ask for something else than it says. */
const jwts: readonly (readonly [config: JsonObject, message: string])[] = [
  [{ providers: { p: {} } }, "providers[p]: has neither local_jwks nor remote_jwks"],
  [
    { providers: { p: { localJwks: { filename: "/x" } } } },
    "providers[p].local_jwks: is not inline",
  ],
  [
    { providers: { p: { localJwks: { inlineString: "{}" } } } },
    "providers[p].local_jwks: does not have [keys] field",
  ],
  [
    { providers: { p: { remoteJwks: { httpUri: { uri: "https://x", timeout: "1s" } } } } },
    "providers[p].remote_jwks.http_uri.cluster: is missing",
  ],
  [
    { rules: [{ match: { prefix: "/" }, requires: { providerName: "p" } }] },
    "rules[0].requires.provider_name: no provider p is defined",
  ],
  [
    { rules: [{ match: { prefix: "/" }, requires: {} }] },
    "rules[0].requires: requires nothing that is known",
  ],
  [
    { rules: [{ match: { prefix: "/" }, requirementName: "r" }] },
    "rules[0].requirement_name: no r is defined",
  ],
  [{ rules: [{ requires: { allowMissing: {} } }] }, "rules[0].match: is missing"],
  [
    {
      providers: { p: keys },
      rules: [
        {
          match: { prefix: "/" },
          requires: { requiresAny: { requirements: [{ providerName: "p" }] } },
        },
      ],
    },
    "rules[0].requires.requires_any.requirements: are less than two",
  ],
  [{ filterStateRules: { name: "x" } }, "filter_state_rules: is not supported"],
  [
    { providers: { p: { ...keys, claimToHeaders: [{ headerName: "x", claimName: "" }] } } },
    "providers[p].claim_to_headers[0].claim_name: is empty",
  ],
];

for (const [config, message] of jwts)
  test(`jwt_authn: ${message}`, () => {
    const parsed = fromJson(JwtAuthenticationSchema, config);
    assert.equal(
      problem((notes) => compileJwtConfig(parsed, "", notes)),
      message,
    );
  });

test("jwt_authn: no key set at all is taken, and no token is good", async () => {
  const parsed = fromJson(JwtAuthenticationSchema, {
    providers: { p: { issuer: "a@b", localJwks: { inlineString: "" } } },
  });
  const { providers } = compileJwtConfig(parsed, "", new Notes());
  const source = providers.get("p")?.keys;
  assert.equal(source?.kind === "local" ? source.keys.size : source?.kind, 0);
});

/** ext_authz and fault settings that are not carried out. */
const others: readonly (readonly [
  schema: Parameters<typeof packed>[0],
  config: JsonObject,
  message: string,
])[] = [
  [ExtAuthzSchema, {}, `${at}: has neither grpc_service nor http_service`],
  [
    ExtAuthzSchema,
    { grpcService: { googleGrpc: { targetUri: "x" } } },
    `${at}.grpc_service.google_grpc: is not supported`,
  ],
  [
    ExtAuthzSchema,
    { httpService: { serverUri: { uri: "http://a", timeout: "1s" } } },
    `${at}.http_service.server_uri.cluster: is missing`,
  ],
  [
    ExtAuthzSchema,
    { grpcService: { envoyGrpc: { clusterName: "a" } }, includePeerCertificate: true },
    `${at}.include_peer_certificate: is not supported`,
  ],
  [
    ExtAuthzSchema,
    { grpcService: { envoyGrpc: { clusterName: "a" } }, denyAtDisable: { runtimeKey: "x" } },
    `${at}.deny_at_disable: is not supported`,
  ],
  [
    ExtAuthzSchema,
    { grpcService: { envoyGrpc: { clusterName: "a" } }, transportApiVersion: "V2" },
    `${at}.transport_api_version: V2 is not supported`,
  ],
  [
    HTTPFaultSchema,
    { abort: { httpStatus: 100 } },
    `${at}.abort.http_status: is not from 200 to 599`,
  ],
  [HTTPFaultSchema, { delay: {} }, `${at}.delay.fixed_delay: is not positive`],
  [HTTPFaultSchema, { maxActiveFaults: 1 }, `${at}.max_active_faults: is not supported`],
  [HTTPFaultSchema, { upstreamCluster: "x" }, `${at}.upstream_cluster: is not supported`],
  [
    ConfigSchema,
    {
      onRequestHeaders: [
        {
          objectKey: "io.istio.peer_principal",
          formatString: { textFormatSource: { inlineString: "%REQ(x-principal)%" } },
        },
      ],
    },
    `${at}.on_request_headers[0].format_string: %REQ(x-principal)% is not supported for io.istio.peer_principal`,
  ],
  [
    ConfigSchema,
    { onRequestHeaders: [{ objectKey: "mine" }] },
    `${at}.on_request_headers[0].object_key: mine is not supported`,
  ],
];

for (const [schema, config, message] of others)
  test(message, () => assert.equal(httpFilter(schema, config), message));

test("filters that nobody knows are refused with their name and type", () => {
  const config = { typeUrl: "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua" };
  const typedConfig = {
    case: "typedConfig" as const,
    value: { ...config, value: new Uint8Array() },
  };
  const lua = create(HttpFilterSchema, { name: "lua", configType: typedConfig });
  const expected = `f.typed_config: filter lua of type envoy.extensions.filters.http.lua.v3.Lua is not supported`;
  assert.equal(
    problem((notes) => compileHttpFilter(lua, "f", notes, environment)),
    expected,
  );
  const network = create(FilterSchema, { name: "lua", configType: typedConfig });
  assert.equal(
    problem((notes) => compileNetworkFilter(network, "f", notes, environment)),
    expected,
  );
  assert.equal(
    problem((notes) =>
      compilePerRoute(
        "lua",
        { $typeName: "google.protobuf.Any", ...typedConfig.value },
        "r",
        notes,
        environment,
      ),
    ),
    "r: envoy.extensions.filters.http.lua.v3.Lua is not supported for lua",
  );
});

test("a filter that is fetched apart, or switched off, is refused", () => {
  const fetched = create(HttpFilterSchema, {
    name: "w",
    configType: { case: "configDiscovery", value: {} },
  });
  assert.equal(
    problem((notes) => compileHttpFilter(fetched, "f", notes, environment)),
    "f.config_discovery: filter w is not supported",
  );
  const off = create(HttpFilterSchema, { name: "w", disabled: true });
  assert.equal(
    problem((notes) => compileHttpFilter(off, "f", notes, environment)),
    "f.disabled: is not supported",
  );
});

test("grpc_web is taken and told: its requests go on untranslated", () => {
  const typeUrl = "type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb";
  const value = { $typeName: "google.protobuf.Any" as const, typeUrl, value: new Uint8Array() };
  const web = create(HttpFilterSchema, {
    name: "w",
    configType: { case: "typedConfig", value },
  });
  const notes = new Notes();
  assert.equal(compileHttpFilter(web, "f", notes, environment).kind, "elsewhere");
  assert.deepEqual(notes.decorations, [
    "f.typed_config: grpc-web requests are not translated to gRPC; they go on as they are",
  ]);
});

test("looking names up is the cluster's work: the filter for it is taken, a cluster of its own for each name is not", () => {
  const cache = { dns_cache_config: { name: "*.wild.example_dfp_dns_cache" } };
  assert.equal(httpFilter(ForwardSchema, cache), "accepted");
  assert.equal(
    httpFilter(ForwardSchema, { sub_cluster_config: {} }),
    "http_filters[0].typed_config.sub_cluster_config: is not supported",
  );
});

test("octets that are no message are refused", () => {
  const typedConfig = {
    case: "typedConfig" as const,
    value: {
      typeUrl: `type.googleapis.com/${RBACSchema.typeName}`,
      value: Uint8Array.of(0xff, 0xff, 0xff),
    },
  };
  const message = create(HttpFilterSchema, { name: "f", configType: typedConfig });
  assert.match(
    problem((notes) => compileHttpFilter(message, "f", notes, environment)),
    /^f\.typed_config: does not decode as envoy\.extensions\.filters\.http\.rbac\.v3\.RBAC/,
  );
});
