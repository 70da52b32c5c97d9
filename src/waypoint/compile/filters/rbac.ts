/** RBAC messages → policies. What is not understood is refused: read past, it could let the wrong ones in. */
import {
  type Policy,
  PolicySchema,
  type RBAC,
  RBAC_Action,
  RBACSchema,
} from "../../../shared/wire/gen/envoy/config/rbac/v3/rbac_pb.js";
import { RBACSchema as HttpRbacSchema } from "../../../shared/wire/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { RBACSchema as NetworkRbacSchema } from "../../../shared/wire/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import type { CounterSource } from "../../filters/counters.ts";
import type { FilterEnvironment } from "../../filters/environment.ts";
import type { HttpFilter, NetworkFilter } from "../../filters/filter.ts";
import { allOf, type Condition, oneOf, withoutHttp } from "../../filters/rbac/condition.ts";
import type {
  RbacAction,
  RbacCounters,
  RbacEngines,
  RbacRules,
} from "../../filters/rbac/engine.ts";
import { HttpRbacFilter, NetworkRbacFilter } from "../../filters/rbac/filter.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "../notes.ts";
import { compilePermission } from "./rbac-permission.ts";
import { compilePrincipal } from "./rbac-principal.ts";
import { readConfig, type TypedConfig } from "./typed-config.ts";

const filterFields = {
  used: ["rules", "shadow_rules", "shadow_rules_stat_prefix", "rules_stat_prefix", "stat_prefix"],
  decorative: ["track_per_rule_stats"],
};

export function compileHttpRbac(
  name: string,
  config: TypedConfig,
  path: Path,
  notes: Notes,
  { counters }: FilterEnvironment,
): HttpFilter {
  const message = readConfig(config, HttpRbacSchema, path);
  checkFields(message, HttpRbacSchema, path, notes, filterFields);
  const engines = compileEngines(message, path, notes);
  const counted = rbacCounters(counters, message.rulesStatPrefix, message.shadowRulesStatPrefix);
  return new HttpRbacFilter(name, { ...engines, counters: counted });
}

export function compileNetworkRbac(
  name: string,
  config: TypedConfig,
  path: Path,
  notes: Notes,
  { counters }: FilterEnvironment,
): NetworkFilter {
  const message = readConfig(config, NetworkRbacSchema, path);
  checkFields(message, NetworkRbacSchema, path, notes, {
    ...filterFields,
    decorative: [...filterFields.decorative, "enforcement_type"],
  });
  const { rules, shadow, shadowPrefix } = compileEngines(message, path, notes);
  return new NetworkRbacFilter(name, {
    rules: rules && forConnections(rules),
    shadow: shadow && forConnections(shadow),
    shadowPrefix,
    counters: rbacCounters(counters.below(withoutDot(message.statPrefix)), "", shadowPrefix),
  });
}

function rbacCounters(source: CounterSource, rules: string, shadow: string): RbacCounters {
  const inside = (prefix: string): CounterSource =>
    source.below(prefix === "" ? "rbac" : `rbac.${withoutDot(prefix)}`);
  const [enforced, dry] = [inside(rules), inside(shadow)];
  return {
    rules: { allowed: enforced.counter("allowed"), denied: enforced.counter("denied") },
    shadow: { allowed: dry.counter("shadow_allowed"), denied: dry.counter("shadow_denied") },
  };
}

function withoutDot(prefix: string): string {
  return prefix.replace(/\.$/, "");
}

export function compileEngines(
  message: {
    readonly rules?: RBAC | undefined;
    readonly shadowRules?: RBAC | undefined;
    readonly shadowRulesStatPrefix: string;
  },
  path: Path,
  notes: Notes,
): Omit<RbacEngines, "counters"> {
  const { rules, shadowRules } = message;
  return {
    rules: rules && compileRules(rules, at(path, "rules"), notes),
    shadow: shadowRules && compileRules(shadowRules, at(path, "shadow_rules"), notes),
    shadowPrefix: message.shadowRulesStatPrefix,
  };
}

const actions: ReadonlyMap<RBAC_Action, RbacAction> = new Map([
  [RBAC_Action.ALLOW, "allow"],
  [RBAC_Action.DENY, "deny"],
  [RBAC_Action.LOG, "log"],
]);

function compileRules(message: RBAC, path: Path, notes: Notes): RbacRules {
  checkFields(message, RBACSchema, path, notes, {
    used: ["action", "policies"],
    decorative: ["audit_logging_options"],
  });
  const action = actions.get(message.action);
  if (action === undefined) throw new CompileError(at(path, "action"), "is unknown");
  const policies = Object.entries(message.policies)
    .map(([id, policy]) => ({
      id,
      condition: compilePolicy(policy, item(path, "policies", id), notes),
    }))
    .sort((a, b) => Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)));
  return { action, policies };
}

function compilePolicy(message: Policy, path: Path, notes: Notes): Condition {
  checkFields(message, PolicySchema, path, notes, { used: ["permissions", "principals"] });
  return allOf([
    alternatives(message.principals, at(path, "principals"), (each, where) =>
      compilePrincipal(each, where, notes),
    ),
    alternatives(message.permissions, at(path, "permissions"), (each, where) =>
      compilePermission(each, where, notes),
    ),
  ]);
}

function alternatives<Message>(
  messages: readonly Message[],
  path: Path,
  compile: (message: Message, path: Path) => Condition,
): Condition {
  if (messages.length === 0) throw new CompileError(path, "is empty");
  return oneOf(messages.map((each, index) => compile(each, `${path}[${index}]`)));
}

/** As the reference's control plane drops HTTP-only fields from TCP rules: to the closed side. */
function forConnections(rules: RbacRules): RbacRules {
  const assumed = rules.action !== "allow";
  return {
    action: rules.action,
    policies: rules.policies.map(({ id, condition }) => ({
      id,
      condition: withoutHttp(condition, assumed),
    })),
  };
}
