/**
 * Judges the open inbound connections of a pod again whenever that could matter: a policy changed, or the pod's own record
 * did (its labels, and so the policies that select it). Now denied means closed. The reference uses the record of the
 * moment of connecting and so misses policies that begin to apply later.
 */
import { evaluate } from "../../shared/authz/evaluate.ts";
import { MeshError } from "../../shared/base/errors.ts";
import type { MeshChange } from "../../shared/model/mesh-update.ts";
import type { ApplicablePolicies } from "../../shared/model/mesh-view.ts";
import type { Workload } from "../../shared/model/workload.ts";
import { decidingPolicy, recordDenial } from "./decisions.ts";
import type { PodScope } from "./scope.ts";

/** Starts watching; returns the way to stop. */
export function watchPolicies(scope: PodScope): () => void {
  let last: { readonly local: Workload; readonly policies: ApplicablePolicies } | undefined;
  return scope.node.store.subscribe((change: MeshChange) => {
    if (change.policies.size === 0 && change.workloads.size === 0) return;
    // A record that was taken away while connections are open says nothing new about who may be connected.
    const local = scope.local.current() ?? last?.local;
    if (local === undefined) return;
    const policies = scope.node.store.policiesFor(local);
    const same = policies === last?.policies;
    last = { local, policies };
    if (!same) judgeAgain(scope, policies);
  });
}

function judgeAgain(scope: PodScope, policies: ApplicablePolicies): void {
  for (const connection of [...scope.connections]) {
    const { admitted, details } = connection;
    if (admitted === undefined || details === undefined) continue;
    const decision = evaluate(policies, admitted);
    if (decision.verdict === "allow") continue;
    recordDenial(scope, { peer: details.source, authority: undefined }, decision, "open");
    connection.cutBy = decidingPolicy(decision);
    connection.cut(new MeshError("policy-changed", "connection closed due to policy change"));
  }
}
