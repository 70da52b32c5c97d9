/** Policies in their order of evaluation, and the decision they lead to. Pure: from plain data to plain data. */
import type { DecisionCounter } from "../counters.ts";
import type { Condition } from "./condition.ts";
import type { Facts } from "./facts.ts";
import { holds } from "./holds.ts";

export type RbacAction = "allow" | "deny" | "log";

export interface RbacPolicy {
  /** The key in the policies' map: `ns[shop]-policy[web]-rule[0]`. */
  readonly id: string;
  /** Principals and permissions joined. */
  readonly condition: Condition;
}

export interface RbacRules {
  readonly action: RbacAction;
  /** By id, in the order of its octets: Envoy's, and the first match is the effective one. */
  readonly policies: readonly RbacPolicy[];
}

/** Of one filter, as Envoy names them: `rbac.allowed`, `rbac.istio_dry_run_deny_.shadow_denied`. */
export interface RbacCounters {
  readonly rules: OutcomeCounters;
  readonly shadow: OutcomeCounters;
}

export interface OutcomeCounters {
  readonly allowed: DecisionCounter;
  readonly denied: DecisionCounter;
}

/** Both as configured; either may be absent. */
export interface RbacEngines {
  readonly rules: RbacRules | undefined;
  readonly shadow: RbacRules | undefined;
  readonly shadowPrefix: string;
  readonly counters: RbacCounters;
}

export interface RbacOutcome {
  readonly allowed: boolean;
  /** The policy that matched; undefined: none did. */
  readonly policy: RbacPolicy | undefined;
}

const allowedByNone: RbacOutcome = { allowed: true, policy: undefined };
const deniedByNone: RbacOutcome = { allowed: false, policy: undefined };

/** LOG allows always; whether to log is `policy !== undefined`. */
export function decide(rules: RbacRules, facts: Facts): RbacOutcome {
  const { action, policies } = rules;
  for (const policy of policies)
    if (holds(policy.condition, facts)) return { allowed: action !== "deny", policy };
  return action === "allow" ? deniedByNone : allowedByNone;
}
