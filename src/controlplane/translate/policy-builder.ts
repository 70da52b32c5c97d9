/** Builds the policies of a pass, and the table by which workloads find theirs. */
import { type Policy, policyKey } from "../../shared/model/policy.ts";
import type { ObjectKey } from "../../shared/objects/kinds.ts";
import { type ConvertedPolicy, convertAuthorizationPolicy } from "./authorization.ts";
import type { Condition } from "./conditions.ts";
import { Memo } from "./memo.ts";
import type { ObjectTable } from "./objects.ts";
import { PeerAuthentications } from "./peer-authentication.ts";
import type { MeshSettings } from "./settings.ts";
import { WorkloadPolicies } from "./workload-policies.ts";

export interface BuiltPolicies {
  /** By `namespace/name`. */
  readonly policies: ReadonlyMap<string, Policy>;
  readonly byWorkload: WorkloadPolicies;
  readonly conditions: readonly Condition[];
}

export class PolicyBuilder {
  readonly #settings: MeshSettings;
  readonly #whole = new Memo<"whole", BuiltPolicies>();
  readonly #authorizations = new Memo<ObjectKey, ConvertedPolicy>();
  readonly #fromPeerAuthentication = new Memo<string, Policy>();
  #byWorkload: WorkloadPolicies | undefined;

  constructor(settings: MeshSettings) {
    this.#settings = settings;
  }

  /** The same reference while no policy changed. */
  build(objects: ObjectTable): BuiltPolicies {
    const ingredients = [
      objects.ofKind("AuthorizationPolicy"),
      objects.ofKind("PeerAuthentication"),
    ];
    const built = this.#whole.getByReference("whole", ingredients, () => this.#rebuild(objects));
    this.#whole.endPass();
    return built;
  }

  #rebuild(objects: ObjectTable): BuiltPolicies {
    const { rootNamespace } = this.#settings;
    const converted = objects
      .ofKind("AuthorizationPolicy")
      .map((object) =>
        this.#authorizations.get(object.key, [object], () =>
          convertAuthorizationPolicy(object, this.#settings),
        ),
      );
    const peerAuthentications = new PeerAuthentications(
      objects.ofKind("PeerAuthentication"),
      rootNamespace,
    );
    const policies = new Map<string, Policy>();
    for (const { policy } of converted) {
      if (policy !== undefined) policies.set(policyKey(policy), policy);
    }
    for (const policy of peerAuthentications.policies()) {
      const key = policyKey(policy);
      policies.set(
        key,
        this.#fromPeerAuthentication.get(key, [JSON.stringify(policy)], () => policy),
      );
    }
    this.#authorizations.endPass();
    this.#fromPeerAuthentication.endPass();
    const before = this.#byWorkload;
    const byWorkload = new WorkloadPolicies(converted, peerAuthentications, rootNamespace, before);
    this.#byWorkload = byWorkload;
    return {
      policies,
      byWorkload,
      conditions: converted.flatMap(({ condition }) => condition ?? []),
    };
  }
}
