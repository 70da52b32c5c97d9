/**
 * Tells a decision again, policy by policy, in words for people. Connections keep only the decision; the trail is made
 * when somebody asks, from the same predicates that decided.
 */
import { formatSpiffe } from "../identity/spiffe.ts";
import { type Policy, type PolicyMatch, type PolicyRule, policyKey } from "../model/policy.ts";
import { cidrText } from "../net/cidr.ts";
import type { DecisionReason, DryRunOutcome, PolicyDecision } from "./decision.ts";
import { inertText } from "./inert.ts";
import {
  compileClause,
  compilePolicy,
  fieldPredicates,
  type PreparedFacts,
  prepareFacts,
} from "./match.ts";

/** Why a rule did not match: the first clause that failed, and the fields that failed in each of its matches. */
interface RuleMiss {
  readonly rule: number;
  readonly clause: number;
  /** One entry a match; an empty list means the match has no field at all, so it never matches. */
  readonly failedFields: readonly (readonly (keyof PolicyMatch)[])[];
}

export interface PolicyOutcome {
  /** `namespace/name`. */
  readonly policy: string;
  readonly action: Policy["action"];
  readonly scope: Policy["scope"];
  readonly dryRun: boolean;
  /** Index of the first rule that matched. */
  readonly matchedRule: number | undefined;
  /** For a policy that did not match: each rule's first obstacle. */
  readonly misses: readonly RuleMiss[];
}

function missOf(rule: PolicyRule, index: number, facts: PreparedFacts): RuleMiss {
  const clause = rule.clauses.findIndex((candidate) => !compileClause(candidate)(facts));
  const matches = rule.clauses[clause]?.matches ?? [];
  const failedFields = matches.map((match) =>
    fieldPredicates(match)
      .filter((field) => !field.test(facts))
      .map((field) => field.field),
  );
  return { rule: index, clause, failedFields };
}

function outcomeOf(policy: Policy, facts: PreparedFacts): PolicyOutcome {
  const rule = compilePolicy(policy)(facts);
  return {
    policy: policyKey(policy),
    action: policy.action,
    scope: policy.scope,
    dryRun: policy.dryRun,
    matchedRule: rule < 0 ? undefined : rule,
    misses: rule < 0 ? policy.rules.map((miss, index) => missOf(miss, index, facts)) : [],
  };
}

/** Every policy that was looked at, in the order of their names. */
export function trailOf(decision: PolicyDecision): PolicyOutcome[] {
  const facts = prepareFacts(decision.facts);
  return decision.candidates.policies.map((policy) => outcomeOf(policy, facts));
}

/** The words of the access log; the reference's where it has them (wire/ztunnel.md section 6). */
export function reasonText(decision: PolicyDecision): string {
  const { reason } = decision;
  switch (reason.kind) {
    case "denied-by":
      return `explicitly denied by: ${reason.hit.policy}`;
    case "allowed-by":
      return `allowed by: ${reason.hit.policy}`;
    case "no-allow-policies":
      return "no allow policies, allow";
    case "no-allow-matched":
      return "allow policies exist, but none allowed";
    case "policy-refused":
      return `policy cannot be evaluated: ${reason.policy}: ${reason.problem}`;
  }
}

export interface PolicyLogLine {
  readonly message: string;
  /** Field `policy=`. */
  readonly policy: string | undefined;
}

function rehearsalLine(outcome: DryRunOutcome): PolicyLogLine {
  switch (outcome.kind) {
    case "would-deny":
      return { message: "dry-run: deny policy match", policy: outcome.hit.policy };
    case "would-allow":
      return { message: "dry-run: allow policy match", policy: outcome.hit.policy };
    case "would-not-allow":
      return { message: "dry-run: no allow policies match", policy: undefined };
  }
}

function reasonLine(reason: DecisionReason): PolicyLogLine {
  switch (reason.kind) {
    case "denied-by":
      return { message: "deny policy match", policy: reason.hit.policy };
    case "allowed-by":
      return { message: "allow policy match", policy: reason.hit.policy };
    case "no-allow-policies":
      return { message: "no allow policies, allow", policy: undefined };
    case "no-allow-matched":
      return { message: "no allow policies matched", policy: undefined };
    case "policy-refused":
      return { message: "refused policy denies", policy: reason.policy };
  }
}

/** The reference's log lines for this decision. */
export function logLines(decision: PolicyDecision): PolicyLogLine[] {
  return [
    ...decision.candidates.unknown.map((policy) => ({
      message: "skipping unknown policy",
      policy,
    })),
    ...decision.dryRun.map(rehearsalLine),
    reasonLine(decision.reason),
  ];
}

/** What a field demands, in the words of the policy; long lists are cut. */
function demandText(match: PolicyMatch, field: keyof PolicyMatch): string {
  const values = match[field].map(valueText);
  const more = values.length > MAX_VALUES ? `, and ${values.length - MAX_VALUES} more` : "";
  return `${field} ${values.slice(0, MAX_VALUES).join(", ")}${more}`;
}

/** Values of one field that are printed. */
const MAX_VALUES = 4;

function valueText(value: PolicyMatch[keyof PolicyMatch][number]): string {
  if (typeof value === "number") return String(value);
  if ("serviceAccount" in value) return `${value.namespace}/${value.serviceAccount}`;
  if ("prefixLength" in value) return cidrText(value);
  switch (value.kind) {
    case "exact":
      return value.value;
    case "prefix":
      return `${value.value}*`;
    case "suffix":
      return `*${value.value}`;
    case "presence":
      return "*";
  }
}

function missText(policy: Policy, miss: RuleMiss): string {
  const matches = policy.rules[miss.rule]?.clauses[miss.clause]?.matches ?? [];
  const why = miss.failedFields.map((fields, index) => {
    const match = matches[index];
    if (fields.length === 0 || match === undefined) return "an empty match never matches";
    return fields.map((field) => demandText(match, field)).join(" and ");
  });
  return `rule ${miss.rule}, clause ${miss.clause}: ${why.join("; or ")}`;
}

/** Control planes turn PeerAuthentication into policies of these names (wire/ztunnel.md section 1.10). */
function isConverted({ name }: Policy): boolean {
  return name.startsWith("istio_converted_") || name.startsWith("converted_peer_authentication_");
}

function outcomeText(policy: Policy, outcome: PolicyOutcome): string {
  const origin = isConverted(policy) ? " (made of PeerAuthentication)" : "";
  const head = `${outcome.dryRun ? "dry-run " : ""}${outcome.action.toUpperCase()} ${outcome.policy}${origin}`;
  if (outcome.matchedRule !== undefined) return `${head}: rule ${outcome.matchedRule} matches`;
  const inert = inertText(policy);
  if (inert !== undefined) return `${head}: ${inert}`;
  const misses = outcome.misses.map((miss) => missText(policy, miss));
  return `${head}: does not match (${misses.join(" | ")})`;
}

/** Every policy that concerns the connection, one line each: looked at, refused, or not delivered. */
export function policyLines({ candidates, facts }: PolicyDecision): string[] {
  const prepared = prepareFacts(facts);
  return [
    ...candidates.policies.map((policy) => outcomeText(policy, outcomeOf(policy, prepared))),
    ...candidates.refused.map(
      (refused) => `REFUSED ${policyKey(refused)}: ${refused.reason}; it denies until corrected`,
    ),
    ...candidates.unknown.map(
      (name) => `UNKNOWN ${name}: listed on the workload, not delivered; it counts for nothing yet`,
    ),
  ];
}

/** The whole decision as lines for a person. */
export function describeDecision(decision: PolicyDecision): string[] {
  const { facts } = decision;
  const who = facts.peer === undefined ? "no identity (plaintext)" : formatSpiffe(facts.peer);
  return [
    `${decision.verdict}: ${reasonText(decision)}`,
    `source ${facts.sourceIp}, ${who}; destination ${facts.destinationIp} port ${facts.destinationPort}`,
    ...policyLines(decision),
  ];
}
