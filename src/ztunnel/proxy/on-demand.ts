/**
 * On-demand state (XDS_ON_DEMAND): a decision is taken on a view that notes what it could not answer; what was missing is
 * asked for, and the decision taken again until nothing is missing that has not been asked for.
 */
import type { MeshView } from "../../shared/model/mesh-view.ts";
import { networkAddressKey } from "../../shared/model/workload.ts";

/** Resolves when the control plane has answered for this key, be it with absence. */
export type Demand = (key: string, signal: AbortSignal) => Promise<void>;

/** A decision asks for a handful of things; more rounds than this mean that the mesh changes under our feet. */
const maxRounds = 8;

interface NotingView extends MeshView {
  readonly missing: ReadonlySet<string>;
}

function noting(view: MeshView): NotingView {
  const missing = new Set<string>();
  const note = <T>(found: T | undefined, key: string): T | undefined => {
    if (found === undefined) missing.add(key);
    return found;
  };
  return {
    missing,
    workloadByUid: (uid) => note(view.workloadByUid(uid), uid),
    workloadByAddress: (network, ip) => {
      const found = view.workloadByAddress(network, ip);
      // One key answers for both: an address is a workload's or a service's.
      if (found === undefined && view.serviceByVip(network, ip, {}) === undefined)
        missing.add(networkAddressKey({ network, ip }));
      return found;
    },
    workloadByHostname: (namespace, hostname) =>
      note(view.workloadByHostname(namespace, hostname), `${namespace}/${hostname}`),
    service: (key) => note(view.service(key), key),
    serviceByVip: (network, ip, preference) => {
      const found = view.serviceByVip(network, ip, preference);
      if (found === undefined && view.workloadByAddress(network, ip) === undefined)
        missing.add(networkAddressKey({ network, ip }));
      return found;
    },
    serviceByHostname: (hostname, preference) => view.serviceByHostname(hostname, preference),
    servicesByHostname: (hostname) => view.servicesByHostname(hostname),
    allEndpoints: (key) => view.allEndpoints(key),
    endpoint: (key, uid) => view.endpoint(key, uid),
    policiesFor: (workload) => view.policiesFor(workload),
  };
}

export async function decideOnDemand<T>(
  view: MeshView,
  demand: Demand,
  signal: AbortSignal,
  decide: (view: MeshView) => T,
): Promise<T> {
  const asked = new Set<string>();
  for (let round = 0; ; round++) {
    const notes = noting(view);
    const decision = decide(notes);
    const open = [...notes.missing].filter((key) => !asked.has(key));
    if (open.length === 0 || round === maxRounds) return decision;
    for (const key of open) asked.add(key);
    await Promise.all(open.map((key) => demand(key, signal)));
  }
}
