/**
 * L4 authorization of one connection (wire/ztunnel.md section 6): a DENY that matches wins; without ALLOW policies the
 * default is open; with them, one must match.
 *
 * What cannot be evaluated is never taken for permission: a policy that was delivered but not understood (and of which
 * no older version is held) denies where it applies. A name that a workload lists before its policy has been delivered is
 * different: control planes send addresses before policies, so denying would cut open connections each time a policy is
 * created. Such a name counts for nothing yet, as with the reference, and is reported in the decision.
 */

import type { ApplicablePolicies } from "../model/mesh-view.ts";
import { type Policy, policyKey } from "../model/policy.ts";
import { PolicyCandidates } from "./candidates.ts";
import type { ConnectionFacts, DecisionReason, DryRunOutcome, PolicyDecision } from "./decision.ts";
import { type PreparedFacts, prepareFacts } from "./match.ts";

interface Partition {
  readonly deny: PolicyCandidates;
  readonly dryDeny: PolicyCandidates;
  readonly allow: PolicyCandidates;
  readonly dryAllow: PolicyCandidates;
}

const partitions = new WeakMap<ApplicablePolicies, Partition>();

function partition(candidates: ApplicablePolicies): Partition {
  const known = partitions.get(candidates);
  if (known !== undefined) return known;
  const select = (action: Policy["action"], dryRun: boolean): PolicyCandidates =>
    new PolicyCandidates(
      candidates.policies.filter((policy) => policy.action === action && policy.dryRun === dryRun),
    );
  const made: Partition = {
    deny: select("Deny", false),
    dryDeny: select("Deny", true),
    allow: select("Allow", false),
    dryAllow: select("Allow", true),
  };
  partitions.set(candidates, made);
  return made;
}

function decide(
  candidates: ApplicablePolicies,
  { deny, allow }: Partition,
  facts: PreparedFacts,
): DecisionReason {
  const denied = deny.firstHit(facts);
  if (denied !== undefined) return { kind: "denied-by", hit: denied };
  const [refused] = candidates.refused;
  if (refused !== undefined)
    return { kind: "policy-refused", policy: policyKey(refused), problem: refused.reason };
  if (allow.keys.length === 0) return { kind: "no-allow-policies" };
  const allowed = allow.firstHit(facts);
  if (allowed !== undefined) return { kind: "allowed-by", hit: allowed };
  return { kind: "no-allow-matched", allowPolicies: allow.keys };
}

function rehearse({ dryDeny, dryAllow }: Partition, facts: PreparedFacts): DryRunOutcome[] {
  const outcomes: DryRunOutcome[] = [];
  const denied = dryDeny.firstHit(facts);
  if (denied !== undefined) outcomes.push({ kind: "would-deny", hit: denied });
  if (dryAllow.keys.length === 0) return outcomes;
  const allowed = dryAllow.firstHit(facts);
  outcomes.push(
    allowed !== undefined
      ? { kind: "would-allow", hit: allowed }
      : { kind: "would-not-allow", allowPolicies: dryAllow.keys },
  );
  return outcomes;
}

export function evaluate(candidates: ApplicablePolicies, facts: ConnectionFacts): PolicyDecision {
  const parts = partition(candidates);
  const prepared = prepareFacts(facts);
  const reason = decide(candidates, parts, prepared);
  const open = reason.kind === "allowed-by" || reason.kind === "no-allow-policies";
  return {
    verdict: open ? "allow" : "deny",
    reason,
    dryRun: rehearse(parts, prepared),
    facts,
    candidates,
  };
}
