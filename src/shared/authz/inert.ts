/** Policies that can never have an effect, said in so many words: a DENY that nobody enforces looks like safety and is none. */
import type { Policy, PolicyMatch, PolicyRule } from "../model/policy.ts";

function isEmptyMatch(match: PolicyMatch): boolean {
  return Object.values(match).every((values: readonly unknown[]) => values.length === 0);
}

/** An attribute that this layer cannot evaluate arrives as a match without any field, and such a match never matches. */
function canMatch(rule: PolicyRule): boolean {
  return rule.clauses.every(
    ({ matches }) => matches.length === 0 || matches.some((match) => !isEmptyMatch(match)),
  );
}

/** Words for a policy that cannot match any connection; undefined for all others. */
export function inertText(policy: Policy): string | undefined {
  if (policy.rules.some(canMatch)) return undefined;
  if (policy.rules.length > 0 && policy.action === "Deny")
    return "NOT ENFORCED: nothing of it can be evaluated at layer 4, and without targetRefs no waypoint enforces it; deploy a waypoint and target it (or the service) with targetRefs";
  if (policy.rules.length > 0)
    return "allows nothing: nothing of it can be evaluated at layer 4, so no connection matches it";
  return policy.action === "Deny"
    ? "has no rules, so it denies nothing"
    : "has no rules left at layer 4, so it allows nothing";
}
