/** A decision as plain JSON with its words beside it: what `/debug/decisions` and `ambit why` show. */
import type { RefusedPolicy } from "../model/mesh-view.ts";
import { type Policy, policyKey } from "../model/policy.ts";
import type { DryRunOutcome, PolicyDecision, PolicyHit } from "./decision.ts";
import { whatWouldChange } from "./explain.ts";
import { inertText } from "./inert.ts";
import { type PolicyOutcome, policyLines, reasonText, trailOf } from "./trail.ts";

/** Null where no rule matched. */
interface PolicyView extends Omit<PolicyOutcome, "matchedRule"> {
  readonly matchedRule: number | null;
  /** Why it can never have an effect. */
  readonly inert?: string;
}

interface RefusedView extends Omit<RefusedPolicy, "scope"> {
  readonly scope: Policy["scope"] | null;
}

export interface DecisionView {
  readonly verdict: PolicyDecision["verdict"];
  /** The words of the access log. */
  readonly reason: string;
  /** Null when the absence of a rule decided. */
  readonly decidedBy: PolicyHit | null;
  /** Every policy that was looked at. */
  readonly policies: readonly PolicyView[];
  readonly refusedPolicies: readonly RefusedView[];
  readonly unknownPolicies: readonly string[];
  readonly dryRun: readonly string[];
  /** The policies in words, one a line. */
  readonly looked: readonly string[];
  /** Single changes after which the verdict would be the other one. */
  readonly wouldChange: readonly string[];
}

/** The policy and rule that decided; undefined when the absence of a rule did, or a policy nobody could read. */
export function decidingHit({ reason }: PolicyDecision): PolicyHit | undefined {
  return reason.kind === "denied-by" || reason.kind === "allowed-by" ? reason.hit : undefined;
}

function dryRunText(outcome: DryRunOutcome): string {
  switch (outcome.kind) {
    case "would-deny":
      return `dry run: ${outcome.hit.policy} rule ${outcome.hit.rule} would deny this; it is not enforced`;
    case "would-allow":
      return `dry run: ${outcome.hit.policy} rule ${outcome.hit.rule} would allow this; it is not enforced`;
    case "would-not-allow":
      return `dry run: none of ${outcome.allowPolicies.join(", ")} would allow this, so it would be denied; they are not enforced`;
  }
}

export function viewDecision(decision: PolicyDecision): DecisionView {
  const { candidates } = decision;
  const inert = new Map(
    candidates.policies.map((policy) => [policyKey(policy), inertText(policy)]),
  );
  return {
    verdict: decision.verdict,
    reason: reasonText(decision),
    decidedBy: decidingHit(decision) ?? null,
    policies: trailOf(decision).map((outcome) => {
      const text = inert.get(outcome.policy);
      const view = { ...outcome, matchedRule: outcome.matchedRule ?? null };
      return text === undefined ? view : { ...view, inert: text };
    }),
    refusedPolicies: candidates.refused.map((one) => ({ ...one, scope: one.scope ?? null })),
    unknownPolicies: candidates.unknown,
    dryRun: decision.dryRun.map(dryRunText),
    looked: policyLines(decision),
    wouldChange: whatWouldChange(decision).map(({ text }) => text),
  };
}
