/** Why a policy matched or did not, and what would change that: for denials, which are rare and looked into. */
import type { Condition } from "./condition.ts";
import type { RbacPolicy, RbacRules } from "./engine.ts";
import type { Facts } from "./facts.ts";
import { holds } from "./holds.ts";
import { actual, describe } from "./words.ts";

/** A denial must not become expensive because there are many policies or long ones. */
const MAX_POLICIES_LOOKED_AT = 16;
const MAX_REASON_CHARS = 600;

/** Of a request that an ALLOW filter denies because no policy matches. */
export function explainNoMatch(rules: RbacRules, facts: Facts): string {
  const { policies } = rules;
  if (policies.length === 0) return "there is an ALLOW filter without a policy: nothing is allowed";
  let nearest: { readonly policy: RbacPolicy; readonly unmet: readonly string[] } | undefined;
  for (const policy of policies.slice(0, MAX_POLICIES_LOOKED_AT)) {
    const missing = unmet(policy.condition, facts);
    if (nearest === undefined || missing.length < nearest.unmet.length)
      nearest = { policy, unmet: missing };
  }
  const count =
    policies.length === 1
      ? "the ALLOW policy does"
      : `none of ${policies.length} ALLOW policies does`;
  const start = policies.length === 1 ? `${count} not match` : count.replace(" does", " matches");
  if (nearest === undefined) return start;
  return cut(
    `${start}; nearest is ${nearest.policy.id}, which would match if ${nearest.unmet.join(" and ")}`,
  );
}

/** Of a request that a DENY policy matches. */
export function explainMatch(policy: RbacPolicy, facts: Facts): string {
  const grounds = met(policy.condition, facts);
  return cut(
    grounds.length === 0
      ? `DENY policy ${policy.id} matches everything`
      : `DENY policy ${policy.id} matches because ${grounds.join(" and ")}`,
  );
}

/** The parts that keep a condition from holding, each with what is there instead. */
function unmet(condition: Condition, facts: Facts): readonly string[] {
  if (holds(condition, facts)) return [];
  switch (condition.kind) {
    case "any":
      return [];
    case "never":
      return ["it could match at all (it matches nothing)"];
    case "and":
      return condition.of.flatMap((each) => unmet(each, facts));
    case "or":
      return [alternatives(condition.of, facts)];
    case "not":
      return [`not ${describe(condition.of)}${found(condition.of, facts)}`];
    default:
      return [`${describe(condition)} (it is ${actual(condition, facts)})`];
  }
}

/** `(method is GET or method is HEAD) (it is DELETE)`: one actual value when all ask about the same. */
function alternatives(conditions: readonly Condition[], facts: Facts): string {
  const words = `(${conditions.map(describe).join(" or ")})`;
  const values = new Set(conditions.map((each) => found(each, facts)));
  const [only] = values;
  return values.size === 1 && only !== undefined ? `${words}${only}` : words;
}

function found(condition: Condition, facts: Facts): string {
  switch (condition.kind) {
    case "any":
    case "never":
    case "and":
    case "or":
    case "not":
      return "";
    default:
      return ` (it is ${actual(condition, facts)})`;
  }
}

/** The parts by which a condition holds. */
function met(condition: Condition, facts: Facts): readonly string[] {
  switch (condition.kind) {
    case "any":
    case "never":
      return [];
    case "and":
      return condition.of.flatMap((each) => met(each, facts));
    case "or": {
      const first = condition.of.find((each) => holds(each, facts));
      return first === undefined ? [] : met(first, facts);
    }
    case "not":
      return [`not ${describe(condition.of)}${found(condition.of, facts)}`];
    default:
      return [describe(condition)];
  }
}

function cut(text: string): string {
  return text.length <= MAX_REASON_CHARS ? text : `${text.slice(0, MAX_REASON_CHARS)}...`;
}
