/** Which policies a workload carries by name: those with a selector that matches it, and what PeerAuthentication makes of it. */
import type { Labels } from "../../shared/model/enrollment.ts";
import { policyKey } from "../../shared/model/policy.ts";
import { type ConvertedPolicy, selectorOf } from "./authorization.ts";
import { LabelIndex } from "./label-index.ts";
import type { PeerAuthentications } from "./peer-authentication.ts";
import { file, type Scope, Scopes } from "./scopes.ts";

export class WorkloadPolicies {
  readonly #rootNamespace: string;
  readonly #byNamespace = new Map<string, LabelIndex<string>>();
  readonly #peerAuthentications: PeerAuthentications;
  readonly #scopes: Scopes;

  /** What a namespace sees keeps its scope since `previous` while nothing of it changed. */
  constructor(
    converted: readonly ConvertedPolicy[],
    peerAuthentications: PeerAuthentications,
    rootNamespace: string,
    previous?: WorkloadPolicies,
  ) {
    this.#rootNamespace = rootNamespace;
    this.#peerAuthentications = peerAuthentications;
    const seen = new Map<string, unknown[]>();
    for (const { object, policy } of converted) {
      const selector = selectorOf(object);
      if (policy === undefined || selector === undefined) continue;
      this.#indexOf(policy.namespace).add(selector, policyKey(policy));
      file(seen, policy.namespace, object);
    }
    for (const policy of peerAuthentications.all) file(seen, policy.metadata.namespace, policy);
    this.#scopes = new Scopes(seen, previous === undefined ? undefined : previous.#scopes);
  }

  /** Stand for all that decides over the names that workloads of a namespace get. */
  scopesOf(namespace: string): readonly [own: Scope, root: Scope] {
    return [this.#scopes.of(namespace), this.#scopes.of(this.#rootNamespace)];
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
