/**
 * AuthorizationPolicies for a node proxy. What it cannot evaluate (HTTP attributes) must never let more through: an ALLOW
 * rule with such an attribute is left out, in a DENY rule the attribute's part becomes a match that never matches. The
 * latter can leave a DENY without any effect at this layer, and then the condition says so.
 */
import type {
  Policy,
  PolicyClause,
  PolicyMatch,
  PolicyRule,
  ServiceAccountMatch,
  StringMatch,
} from "../../shared/model/policy.ts";
import { isEmptyMatch, matchOf } from "../../shared/model/policy-match.ts";
import { type Cidr, parseCidr } from "../../shared/net/cidr.ts";
import type { ObjectOf } from "../../shared/objects/kinds.ts";
import type { Condition } from "./conditions.ts";
import { DRY_RUN, parseBoolean } from "./names.ts";
import type { MeshSettings } from "./settings.ts";

type AuthorizationPolicy = ObjectOf<"AuthorizationPolicy">;
type Rule = AuthorizationPolicy["spec"]["rules"][number];
type Source = NonNullable<Rule["from"][number]["source"]>;
type Operation = NonNullable<Rule["to"][number]["operation"]>;

export interface ConvertedPolicy {
  readonly object: AuthorizationPolicy;
  /** Absent when nothing of it goes to a node proxy. */
  readonly policy?: Policy;
  /** Absent for policies that are none of the node proxy's business. */
  readonly condition?: Condition;
}

export function convertAuthorizationPolicy(
  object: AuthorizationPolicy,
  settings: MeshSettings,
): ConvertedPolicy {
  const { metadata, spec } = object;
  if (spec.targetRef !== undefined || spec.targetRefs.length > 0) return { object };
  const dryRun = parseBoolean(metadata.annotations[DRY_RUN] ?? "") === true;
  if (dryRun && !settings.dryRunPolicies)
    return rejected(
      object,
      "the dry-run annotation is not enabled for node proxies, so the policy is not enforced and not evaluated",
    );
  if (spec.action !== "ALLOW" && spec.action !== "DENY")
    return rejected(
      object,
      `a node proxy does not support the action ${spec.action}: not enforced. Use a waypoint and target it with targetRefs`,
    );
  const action = spec.action === "DENY" ? "Deny" : "Allow";
  const converted = spec.rules.map((rule) => convertRule(rule, action, metadata.namespace));
  const policy: Policy = {
    name: metadata.name,
    namespace: metadata.namespace,
    scope: scopeOf(object, settings),
    action,
    rules: converted.flatMap(({ rule }) => (rule === undefined ? [] : [rule])),
    dryRun,
  };
  const unsupported = [...new Set(converted.flatMap((result) => result.unsupported))].sort();
  return { object, policy, condition: accepted(object, policy, unsupported) };
}

/** An empty selector selects everything; the reference sends such a policy but attaches it to nothing (docs/differences.md). */
export function selectorOf(
  object: AuthorizationPolicy,
): Readonly<Record<string, string>> | undefined {
  const labels = object.spec.selector?.matchLabels ?? {};
  return Object.keys(labels).length === 0 ? undefined : labels;
}

function scopeOf(object: AuthorizationPolicy, settings: MeshSettings): Policy["scope"] {
  if (selectorOf(object) !== undefined) return "WorkloadSelector";
  return object.metadata.namespace === settings.rootNamespace ? "Global" : "Namespace";
}

function rejected(object: AuthorizationPolicy, message: string): ConvertedPolicy {
  return {
    object,
    condition: {
      object: object.key,
      type: "ZtunnelAccepted",
      status: "False",
      reason: "UnsupportedValue",
      message,
    },
  };
}

function accepted(
  object: AuthorizationPolicy,
  policy: Policy,
  unsupported: readonly string[],
): Condition {
  const condition = { object: object.key, type: "ZtunnelAccepted", status: "True" } as const;
  if (unsupported.length === 0)
    return { ...condition, reason: "Accepted", message: "attached to ztunnel" };
  const found = `a node proxy does not support HTTP attributes (found: ${unsupported.join(", ")}). In ambient mode a waypoint enforces them. `;
  const consequence =
    policy.action === "Allow"
      ? "The ALLOW rules that use them are omitted; this is more restrictive than requested."
      : policy.rules.some(isEffective)
        ? "The DENY policy is enforced without them; this is more restrictive than requested."
        : "The DENY policy is not enforced: nothing of it can be evaluated at the node proxy. Deploy a waypoint and target it (or the service) with targetRefs.";
  return { ...condition, reason: "UnsupportedValue", message: found + consequence };
}

/** Whether the rule can match anything: every clause has a match that is not the one that never matches. */
function isEffective(rule: PolicyRule): boolean {
  return rule.clauses.every(({ matches }) => matches.some((match) => !isEmptyMatch(match)));
}

interface ConvertedRule {
  readonly rule?: PolicyRule;
  readonly unsupported: readonly string[];
}

function convertRule(rule: Rule, action: Policy["action"], namespace: string): ConvertedRule {
  const unsupported: string[] = [];
  const clauses: PolicyClause[] = [];
  if (rule.to.length > 0)
    clauses.push({
      matches: rule.to.map(({ operation }) => convertOperation(operation, unsupported)),
    });
  if (rule.from.length > 0)
    clauses.push({
      matches: rule.from.map(({ source }) => convertSource(source, namespace, unsupported)),
    });
  for (const condition of rule.when)
    clauses.push({ matches: [convertCondition(condition, unsupported)] });
  if (action === "Allow" && unsupported.length > 0) return { unsupported };
  return { rule: { clauses }, unsupported };
}

const HTTP_OPERATION_FIELDS = [
  "hosts",
  "notHosts",
  "methods",
  "notMethods",
  "paths",
  "notPaths",
] as const;

function convertOperation(operation: Operation | undefined, unsupported: string[]): PolicyMatch {
  for (const field of HTTP_OPERATION_FIELDS) {
    if ((operation?.[field].length ?? 0) > 0) unsupported.push(field);
  }
  return matchOf({
    destinationPorts: (operation?.ports ?? []).map(Number),
    notDestinationPorts: (operation?.notPorts ?? []).map(Number),
  });
}

/** Trust domains are not on this wire; the reference drops them silently, which would widen an ALLOW rule. */
const UNSUPPORTED_SOURCE_FIELDS = [
  "remoteIpBlocks",
  "notRemoteIpBlocks",
  "requestPrincipals",
  "notRequestPrincipals",
  "trustDomains",
  "notTrustDomains",
] as const;

function convertSource(
  source: Source | undefined,
  namespace: string,
  unsupported: string[],
): PolicyMatch {
  if (source === undefined) return matchOf({});
  for (const field of UNSUPPORTED_SOURCE_FIELDS) {
    if (source[field].length > 0) unsupported.push(field);
  }
  return matchOf({
    sourceIps: source.ipBlocks.flatMap(toCidr),
    notSourceIps: source.notIpBlocks.flatMap(toCidr),
    namespaces: source.namespaces.map(toStringMatch),
    notNamespaces: source.notNamespaces.map(toStringMatch),
    serviceAccounts: source.serviceAccounts.map((text) => toServiceAccount(text, namespace)),
    notServiceAccounts: source.notServiceAccounts.map((text) => toServiceAccount(text, namespace)),
    principals: source.principals.map(toStringMatch),
    notPrincipals: source.notPrincipals.map(toStringMatch),
  });
}

function convertCondition(condition: Rule["when"][number], unsupported: string[]): PolicyMatch {
  const { key, values, notValues } = condition;
  switch (key) {
    case "source.ip":
      return matchOf({
        sourceIps: values.flatMap(toCidr),
        notSourceIps: notValues.flatMap(toCidr),
      });
    case "source.namespace":
      return matchOf({
        namespaces: values.map(toStringMatch),
        notNamespaces: notValues.map(toStringMatch),
      });
    case "source.principal":
      return matchOf({
        principals: values.map(toStringMatch),
        notPrincipals: notValues.map(toStringMatch),
      });
    case "destination.ip":
      return matchOf({
        destinationIps: values.flatMap(toCidr),
        notDestinationIps: notValues.flatMap(toCidr),
      });
    case "destination.port":
      return matchOf({
        destinationPorts: values.map(Number),
        notDestinationPorts: notValues.map(Number),
      });
    default:
      unsupported.push(key);
      return matchOf({});
  }
}

/** `*` any, `*x` suffix, `x*` prefix, else exact. */
function toStringMatch(text: string): StringMatch {
  if (text === "*") return { kind: "presence" };
  if (text.startsWith("*")) return { kind: "suffix", value: text.slice(1) };
  if (text.endsWith("*")) return { kind: "prefix", value: text.slice(0, -1) };
  return { kind: "exact", value: text };
}

/** `account` in the policy's own namespace, or `namespace/account`. */
function toServiceAccount(text: string, namespace: string): ServiceAccountMatch {
  const slash = text.indexOf("/");
  return slash < 0
    ? { namespace, serviceAccount: text }
    : { namespace: text.slice(0, slash), serviceAccount: text.slice(slash + 1) };
}

/** Text that is no prefix was refused when the object was read. */
function toCidr(text: string): readonly Cidr[] {
  const cidr = parseCidr(text);
  return cidr === undefined ? [] : [cidr];
}
