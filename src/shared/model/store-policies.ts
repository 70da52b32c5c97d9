/** Policies by name and scope, and which of them concern a workload (wire/ztunnel.md section 6). */
import type { ApplicablePolicies, RefusedPolicy } from "./mesh-view.ts";
import { type Policy, policyKey } from "./policy.ts";
import { compareText } from "./store-ranked.ts";
import type { Workload } from "./workload.ts";

/** What a workload says about the policies that concern it. */
export type PolicyTarget = Pick<Workload, "namespace" | "authorizationPolicies">;

/** Where something applies by itself, without being listed on a workload. */
function ambientScope(policy: Pick<RefusedPolicy, "scope" | "namespace">): string | undefined {
  if (policy.scope === "Global") return "*";
  return policy.scope === "Namespace" ? `ns/${policy.namespace}` : undefined;
}

/** Things by name, and by the scope in which they apply unasked. */
class ScopedIndex<T extends Pick<RefusedPolicy, "scope" | "namespace" | "name">> {
  readonly byKey = new Map<string, T>();
  readonly #byScope = new Map<string, Set<string>>();

  upsert(entry: T): void {
    const key = policyKey(entry);
    this.remove(key);
    this.byKey.set(key, entry);
    const scope = ambientScope(entry);
    if (scope === undefined) return;
    const held = this.#byScope.get(scope) ?? new Set<string>();
    this.#byScope.set(scope, held.add(key));
  }

  remove(key: string): boolean {
    const entry = this.byKey.get(key);
    if (entry === undefined) return false;
    this.byKey.delete(key);
    const scope = ambientScope(entry);
    if (scope === undefined) return true;
    const held = this.#byScope.get(scope);
    held?.delete(key);
    if (held?.size === 0) this.#byScope.delete(scope);
    return true;
  }

  /** Keys that concern the workload and are held here. */
  applicable(target: PolicyTarget): Set<string> {
    const keys = new Set(this.#byScope.get("*"));
    for (const key of this.#byScope.get(`ns/${target.namespace}`) ?? []) keys.add(key);
    for (const key of target.authorizationPolicies) if (this.byKey.has(key)) keys.add(key);
    return keys;
  }

  select(target: PolicyTarget): T[] {
    const found: T[] = [];
    for (const key of [...this.applicable(target)].sort(compareText)) {
      const entry = this.byKey.get(key);
      if (entry !== undefined) found.push(entry);
    }
    return found;
  }
}

interface Answer {
  readonly applicable: ApplicablePolicies;
  /** The state of the index that this was taken from. */
  epoch: number;
}

/** Kinds of workloads that are remembered before starting afresh; those of one node are far fewer. */
const MAX_ANSWERS = 4096;

/**
 * Remembers answers, and gives the same object again as long as nothing in it changed: others cache by it, and tell by it
 * whether open connections must be judged again. Workloads of one namespace that list the same policies share theirs.
 */
class AnswerCache {
  readonly #byTarget = new Map<string, Answer>();
  /** Records are replaced, never changed: the same one asks for the same. */
  readonly #byRecord = new WeakMap<PolicyTarget, Answer>();
  #epoch = 0;

  /** The index has changed. */
  expire(): void {
    this.#epoch++;
    if (this.#byTarget.size > MAX_ANSWERS) this.#byTarget.clear();
  }

  get(target: PolicyTarget, compute: () => ApplicablePolicies): ApplicablePolicies {
    const asked = this.#byRecord.get(target);
    if (asked?.epoch === this.#epoch) return asked.applicable;
    const answer = this.#answer(target, compute);
    this.#byRecord.set(target, answer);
    return answer.applicable;
  }

  #answer(target: PolicyTarget, compute: () => ApplicablePolicies): Answer {
    const key = [target.namespace, ...target.authorizationPolicies].join("\n");
    const known = this.#byTarget.get(key);
    if (known?.epoch === this.#epoch) return known;
    const applicable = compute();
    if (known !== undefined && sameAnswer(known.applicable, applicable)) {
      known.epoch = this.#epoch;
      return known;
    }
    const fresh: Answer = { applicable, epoch: this.#epoch };
    this.#byTarget.set(key, fresh);
    return fresh;
  }
}

function sameList<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}

function sameAnswer(a: ApplicablePolicies, b: ApplicablePolicies): boolean {
  return (
    sameList(a.policies, b.policies) &&
    sameList(a.unknown, b.unknown) &&
    sameList(a.refused, b.refused)
  );
}

export class PolicyIndex {
  readonly #held = new ScopedIndex<Policy>();
  readonly #refused = new ScopedIndex<RefusedPolicy>();
  readonly #answers = new AnswerCache();

  upsert(policy: Policy): void {
    this.#refused.remove(policyKey(policy));
    this.#held.upsert(policy);
    this.#answers.expire();
  }

  /** False when an older version is held and stays in force. */
  refuse(policy: RefusedPolicy): boolean {
    if (this.#held.byKey.has(policyKey(policy))) return false;
    this.#refused.upsert(policy);
    this.#answers.expire();
    return true;
  }

  remove(key: string): boolean {
    const wasRefused = this.#refused.remove(key);
    const wasHeld = this.#held.remove(key);
    if (wasHeld || wasRefused) this.#answers.expire();
    return wasHeld || wasRefused;
  }

  get(key: string): Policy | undefined {
    return this.#held.byKey.get(key);
  }

  values(): Iterable<Policy> {
    return this.#held.byKey.values();
  }

  refusedValues(): Iterable<RefusedPolicy> {
    return this.#refused.byKey.values();
  }

  policiesFor(target: PolicyTarget): ApplicablePolicies {
    return this.#answers.get(target, () => {
      const unknown = target.authorizationPolicies.filter(
        (key) => !this.#held.byKey.has(key) && !this.#refused.byKey.has(key),
      );
      return {
        policies: this.#held.select(target),
        unknown: [...new Set(unknown)].sort(compareText),
        refused: this.#refused.select(target),
      };
    });
  }
}
