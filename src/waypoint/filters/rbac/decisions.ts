/** What there is to say about each policy's outcome, made once per configuration: allowing costs no text per request. */
import type { FilterDecision, MetadataValue } from "../filter.ts";
import { decide, type OutcomeCounters, type RbacOutcome, type RbacRules } from "./engine.ts";
import { explainMatch, explainNoMatch } from "./explain.ts";
import type { Facts } from "./facts.ts";

export type MetadataValues = { readonly [key: string]: MetadataValue };

interface Said {
  readonly decision: FilterDecision;
  /** For rules: access_log_hint of LOG; for shadow rules: the engine's result. */
  readonly metadata: MetadataValues | undefined;
}

export interface Ruling {
  readonly outcome: RbacOutcome;
  readonly decision: FilterDecision;
  readonly metadata: MetadataValues | undefined;
}

/** Rules together with their words. */
export class Enforcement {
  readonly #rules: RbacRules;
  readonly #said: ReadonlyMap<string, Said>;
  readonly #filter: string;
  readonly #counters: OutcomeCounters;

  constructor(rules: RbacRules, filter: string, counters: OutcomeCounters) {
    this.#rules = rules;
    this.#filter = filter;
    this.#counters = counters;
    const said = new Map<string, Said>();
    for (const { id } of rules.policies) said.set(id, this.#matched(id));
    said.set("", this.#unmatched());
    this.#said = said;
  }

  rule(facts: Facts): Ruling {
    const outcome = decide(this.#rules, facts);
    const { decision, metadata } = this.#said.get(outcome.policy?.id ?? "") ?? this.#unmatched();
    if (outcome.allowed) return { outcome, decision, metadata };
    const reason =
      outcome.policy === undefined
        ? explainNoMatch(this.#rules, facts)
        : explainMatch(outcome.policy, facts);
    return { outcome, decision: this.#denied(reason), metadata };
  }

  #allowed(reason: string): FilterDecision {
    const counter = this.#counters.allowed;
    return { filter: this.#filter, outcome: "allowed", reason, counter };
  }

  #denied(reason: string): FilterDecision {
    const counter = this.#counters.denied;
    return { filter: this.#filter, outcome: "denied", reason, counter };
  }

  #matched(id: string): Said {
    switch (this.#rules.action) {
      case "allow":
        return said(this.#allowed(`ALLOW policy ${id} matches`));
      case "deny":
        return said(this.#denied(`DENY policy ${id} matches`));
      case "log":
        return {
          decision: { ...this.#allowed(`AUDIT policy ${id} matches`), outcome: "logged" },
          metadata: { access_log_hint: true },
        };
    }
  }

  #unmatched(): Said {
    const count = this.#rules.policies.length;
    switch (this.#rules.action) {
      case "allow":
        return said(this.#denied(`none of ${count} ALLOW policies matches`));
      case "deny":
        return said(this.#allowed(`none of ${count} DENY policies matches`));
      case "log":
        return {
          decision: {
            ...this.#allowed(`none of ${count} AUDIT policies matches`),
            outcome: "not-logged",
          },
          metadata: { access_log_hint: false },
        };
    }
  }
}

function said(decision: FilterDecision): Said {
  return { decision, metadata: undefined };
}

/** Rules that only say what they would do: dry run, and the gate of ext_authz. */
export class Shadow {
  readonly #rules: RbacRules;
  readonly #said: ReadonlyMap<string, Required<Ruling>>;
  readonly #unmatched: Required<Ruling>;

  constructor(rules: RbacRules, prefix: string, filter: string, counters: OutcomeCounters) {
    this.#rules = rules;
    const action = rules.action.toUpperCase();
    const ruling = (outcome: RbacOutcome): Required<Ruling> => ({
      outcome,
      decision: {
        filter,
        outcome: outcome.allowed ? "shadow-allowed" : "shadow-denied",
        reason:
          outcome.policy === undefined
            ? `none of ${rules.policies.length} shadow ${action} policies matches`
            : `shadow ${action} policy ${outcome.policy.id} matches`,
        counter: outcome.allowed ? counters.allowed : counters.denied,
      },
      metadata: {
        ...(outcome.policy === undefined
          ? {}
          : { [`${prefix}shadow_effective_policy_id`]: outcome.policy.id }),
        [`${prefix}shadow_engine_result`]: outcome.allowed ? "allowed" : "denied",
      },
    });
    this.#unmatched = ruling({ allowed: rules.action !== "allow", policy: undefined });
    this.#said = new Map(
      rules.policies.map((policy) => [
        policy.id,
        ruling({ allowed: rules.action !== "deny", policy }),
      ]),
    );
  }

  rule(facts: Facts): Required<Ruling> {
    const { policy } = decide(this.#rules, facts);
    return (policy === undefined ? undefined : this.#said.get(policy.id)) ?? this.#unmatched;
  }
}
