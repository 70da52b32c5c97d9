/** Which policies a workload carries by name: those with a selector that matches it, and what PeerAuthentication makes of it. */
import type { Labels } from "../../shared/model/enrollment.ts";
import { policyKey } from "../../shared/model/policy.ts";
import { type ConvertedPolicy, selectorOf } from "./authorization.ts";
import { LabelIndex } from "./label-index.ts";
import type { PeerAuthentications } from "./peer-authentication.ts";

export class WorkloadPolicies {
  readonly #rootNamespace: string;
  readonly #byNamespace = new Map<string, LabelIndex<string>>();
  readonly #peerAuthentications: PeerAuthentications;

  constructor(
    converted: readonly ConvertedPolicy[],
    peerAuthentications: PeerAuthentications,
    rootNamespace: string,
  ) {
    this.#rootNamespace = rootNamespace;
    this.#peerAuthentications = peerAuthentications;
    for (const { object, policy } of converted) {
      const selector = selectorOf(object);
      if (policy === undefined || selector === undefined) continue;
      this.#indexOf(policy.namespace).add(selector, policyKey(policy));
    }
  }

  /** `namespace/name`, sorted, those of PeerAuthentication last. */
  namesFor(namespace: string, labels: Labels): readonly string[] {
    const own = this.#byNamespace.get(namespace)?.matching(labels) ?? [];
    const root =
      namespace === this.#rootNamespace ? undefined : this.#byNamespace.get(this.#rootNamespace);
    const selected = [...own, ...(root?.matching(labels) ?? [])].sort();
    return [...selected, ...this.#peerAuthentications.policiesFor(namespace, labels)];
  }

  #indexOf(namespace: string): LabelIndex<string> {
    const known = this.#byNamespace.get(namespace);
    if (known !== undefined) return known;
    const index = new LabelIndex<string>();
    this.#byNamespace.set(namespace, index);
    return index;
  }
}
