/** What authorization decided is counted under Envoy's names: dry runs are watched by these counters. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { FilterSchema } from "../../../../src/shared/wire/gen/envoy/config/listener/v3/listener_components_pb.js";
import {
  type RBAC,
  RBAC_Action,
  RBACSchema as RulesSchema,
} from "../../../../src/shared/wire/gen/envoy/config/rbac/v3/rbac_pb.js";
import { RBACSchema } from "../../../../src/shared/wire/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { RouterSchema } from "../../../../src/shared/wire/gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import { HttpConnectionManagerSchema } from "../../../../src/shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { RBACSchema as NetworkRbacSchema } from "../../../../src/shared/wire/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import { compileHttpChain } from "../../../../src/waypoint/compile/chain-http.ts";
import { compileNetworkFilter } from "../../../../src/waypoint/compile/filters/registry.ts";
import { typedConfig } from "../../../../src/waypoint/compile/filters/typed-config.ts";
import { compileHooks } from "../../../../src/waypoint/compile/hooks.ts";
import { Notes } from "../../../../src/waypoint/compile/notes.ts";
import { DecisionCounters } from "../../../../src/waypoint/filters/counters.ts";
import { inertEnvironment } from "../../../../src/waypoint/telemetry/environment.ts";
import {
  filterEnvironment,
  head,
  packed,
  TestConnection,
  TestRequest,
} from "../../../support/filters.ts";

function rules(action: RBAC_Action, prefix: string): RBAC {
  return create(RulesSchema, {
    action,
    policies: {
      secrets: {
        permissions: [
          {
            rule: {
              case: "urlPath",
              value: {
                rule: {
                  case: "path",
                  value: { matchPattern: { case: "prefix", value: prefix } },
                },
              },
            },
          },
        ],
        principals: [{ identifier: { case: "any", value: true } }],
      },
    },
  });
}

function chainWith(rbac: MessageInitShape<typeof RBACSchema>, counters: DecisionCounters) {
  const manager = create(HttpConnectionManagerSchema, {
    statPrefix: "inbound_0.0.0.0_80;",
    routeSpecifier: { case: "routeConfig", value: { name: "r" } },
    httpFilters: [
      {
        name: "envoy.filters.http.rbac",
        configType: { case: "typedConfig", value: packed(RBACSchema, create(RBACSchema, rbac)) },
      },
      {
        name: "envoy.filters.http.router",
        configType: { case: "typedConfig", value: packed(RouterSchema, create(RouterSchema)) },
      },
    ],
  });
  const config = typedConfig(packed(HttpConnectionManagerSchema, manager), "manager");
  const hooks = compileHooks({ ...filterEnvironment(), counters }, inertEnvironment());
  return compileHttpChain("chain", config, "manager", new Notes(), hooks);
}

/** What telemetry does when a stream is over. */
function count(request: Pick<TestRequest, "notes">): void {
  for (const { counter } of request.notes) if (counter !== undefined) counter.count++;
}

function askedFor(chain: ReturnType<typeof chainWith>, path: string): TestRequest {
  const request = new TestRequest({ head: head(path) });
  for (const filter of chain.filters) void filter.onRequest?.(request, true);
  return request;
}

test("rules and shadow rules count beside each other, and only streams that are over", () => {
  const counters = new DecisionCounters();
  const configured = {
    rules: rules(RBAC_Action.DENY, "/secret"),
    shadowRules: rules(RBAC_Action.DENY, "/dry"),
    shadowRulesStatPrefix: "istio_dry_run_deny_",
  };
  const chain = chainWith(configured, counters);
  for (const path of ["/", "/dry", "/dry/2", "/secret"]) count(askedFor(chain, path));
  // A dry run of the filters, as `why` makes it: nobody counts.
  askedFor(chain, "/secret");
  const expected = [
    ["http.inbound_0.0.0.0_80;.rbac.allowed", 3],
    ["http.inbound_0.0.0.0_80;.rbac.denied", 1],
    ["http.inbound_0.0.0.0_80;.rbac.istio_dry_run_deny_.shadow_allowed", 2],
    ["http.inbound_0.0.0.0_80;.rbac.istio_dry_run_deny_.shadow_denied", 2],
  ];
  assert.deepEqual(counters.values, expected);
  // The next configuration goes on counting where this one was.
  count(askedFor(chainWith(configured, counters), "/"));
  assert.equal(counters.values[0]?.[1], 4);
});

test("ALLOW rules without a match count as denied", () => {
  const counters = new DecisionCounters();
  const chain = chainWith({ rules: rules(RBAC_Action.ALLOW, "/open") }, counters);
  for (const path of ["/open", "/", "/x"]) count(askedFor(chain, path));
  assert.deepEqual(Object.fromEntries(counters.values), {
    "http.inbound_0.0.0.0_80;.rbac.allowed": 1,
    "http.inbound_0.0.0.0_80;.rbac.denied": 2,
    "http.inbound_0.0.0.0_80;.rbac.shadow_allowed": 0,
    "http.inbound_0.0.0.0_80;.rbac.shadow_denied": 0,
  });
});

test("connections count under the filter's own prefix", () => {
  const counters = new DecisionCounters();
  const message = create(NetworkRbacSchema, {
    statPrefix: "tcp.",
    rules: { action: RBAC_Action.ALLOW, policies: {} },
  });
  const filter = create(FilterSchema, {
    name: "envoy.filters.network.rbac",
    configType: { case: "typedConfig", value: packed(NetworkRbacSchema, message) },
  });
  const environment = { ...filterEnvironment(), counters };
  const compiled = compileNetworkFilter(filter, "filter", new Notes(), environment);
  assert.ok(compiled.kind === "filter");
  const connection = new TestConnection({});
  void compiled.filter.onConnection(connection);
  count(connection);
  assert.deepEqual(counters.values.slice(0, 2), [
    ["tcp.rbac.allowed", 0],
    ["tcp.rbac.denied", 1],
  ]);
});
