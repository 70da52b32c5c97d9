/**
 * Finds the first policy that matches without trying all of them. Most rules demand an exact identity, namespace or port, so
 * a policy is filed under the values one of which it needs; a connection tries only what its own values lead to. What demands
 * nothing exact is always tried. The answer is the same as from trying all in order.
 */
import type { Policy, PolicyClause, PolicyMatch, PolicyRule } from "../model/policy.ts";
import { policyKey } from "../model/policy.ts";
import type { PolicyHit } from "./decision.ts";
import { type CompiledPolicy, compilePolicy, type PreparedFacts } from "./match.ts";

interface Entry {
  readonly key: string;
  readonly position: number;
  readonly match: CompiledPolicy;
}

/** A value that a connection must have, as text; the first letter says of which kind. */
type Demand = string;

/** Kinds from the most telling to the least; a match is filed under the first that it demands. */
function demandsOf(match: PolicyMatch): readonly Demand[] | undefined {
  const { principals, serviceAccounts, namespaces, destinationPorts } = match;
  const exact = (list: PolicyMatch["principals"], kind: string): Demand[] | undefined => {
    const demands = list.flatMap((item) => (item.kind === "exact" ? [kind + item.value] : []));
    return demands.length > 0 && demands.length === list.length ? demands : undefined;
  };
  return (
    exact(principals, "p") ??
    (serviceAccounts.length > 0
      ? serviceAccounts.map((account) => `a${account.namespace}/${account.serviceAccount}`)
      : undefined) ??
    exact(namespaces, "n") ??
    (destinationPorts.length > 0 ? destinationPorts.map((port) => `d${port}`) : undefined)
  );
}

/** All matches of the clause must demand something, as they are alternatives. */
function clauseDemands(clause: PolicyClause): readonly Demand[] | undefined {
  if (clause.matches.length === 0) return undefined;
  const demands: Demand[] = [];
  for (const match of clause.matches) {
    const some = demandsOf(match);
    if (some === undefined) return undefined;
    demands.push(...some);
  }
  return demands;
}

/** One clause is enough, as all must hold: an identity's demand rather than a port's, which many connections share. */
function ruleDemands(rule: PolicyRule): readonly Demand[] | undefined {
  let ports: readonly Demand[] | undefined;
  for (const clause of rule.clauses) {
    const demands = clauseDemands(clause);
    if (demands === undefined) continue;
    if (!demands.some((demand) => demand.startsWith("d"))) return demands;
    ports ??= demands;
  }
  return ports;
}

function policyDemands(policy: Policy): readonly Demand[] | undefined {
  const demands: Demand[] = [];
  for (const rule of policy.rules) {
    const some = ruleDemands(rule);
    if (some === undefined) return undefined;
    demands.push(...some);
  }
  return demands;
}

function demandsMetBy(facts: PreparedFacts): Demand[] {
  const met = [`d${facts.port}`];
  if (facts.principal !== undefined)
    met.push(
      `p${facts.principal}`,
      `a${facts.namespace}/${facts.serviceAccount}`,
      `n${facts.namespace}`,
    );
  return met;
}

export class PolicyCandidates {
  /** `namespace/name` of all, in order. */
  readonly keys: readonly string[];
  readonly #always: Entry[] = [];
  readonly #byDemand = new Map<Demand, Entry[]>();

  constructor(policies: readonly Policy[]) {
    this.keys = policies.map(policyKey);
    policies.forEach((policy, position) => {
      const entry: Entry = { key: policyKey(policy), position, match: compilePolicy(policy) };
      const demands = policyDemands(policy);
      if (demands === undefined) this.#always.push(entry);
      else for (const demand of new Set(demands)) this.#file(demand, entry);
    });
  }

  #file(demand: Demand, entry: Entry): void {
    const held = this.#byDemand.get(demand);
    if (held === undefined) this.#byDemand.set(demand, [entry]);
    else held.push(entry);
  }

  /** The first policy in order that matches. */
  firstHit(facts: PreparedFacts): PolicyHit | undefined {
    if (this.keys.length === 0) return undefined;
    let best = Number.POSITIVE_INFINITY;
    let hit: PolicyHit | undefined;
    const tryAll = (entries: readonly Entry[]): void => {
      for (const { key, position, match } of entries) {
        // Positions ascend within a list.
        if (position >= best) return;
        const rule = match(facts);
        if (rule < 0) continue;
        best = position;
        hit = { policy: key, rule };
        return;
      }
    };
    tryAll(this.#always);
    if (this.#byDemand.size === 0) return hit;
    for (const demand of demandsMetBy(facts)) tryAll(this.#byDemand.get(demand) ?? []);
    return hit;
  }
}
