/** One end of a connection as labels and log lines show it: taken from the workload's record, or from baggage. */
import { formatSpiffe, type SpiffeIdentity } from "../../shared/identity/spiffe.ts";
import type { Workload } from "../../shared/model/workload.ts";
import type { Baggage } from "../proxy/baggage.ts";

export interface Party {
  /** What the access log prints: the pod, or the next best name. */
  readonly displayName: string;
  /** The controller's name. */
  readonly workloadName: string;
  readonly namespace: string;
  readonly canonicalName: string;
  /** Label `*_app`. */
  readonly app: string;
  readonly canonicalRevision: string;
  readonly clusterId: string;
  readonly region: string;
  readonly zone: string;
  /** SPIFFE URI that the record implies; whether it was proven is another question. */
  readonly identity: string;
}

/** Records are replaced, never changed, so what was derived from one stays true. */
const known = new WeakMap<Workload, Party>();

export function partyOf(workload: Workload): Party {
  let party = known.get(workload);
  if (party === undefined) {
    party = {
      displayName: workload.name === "" ? workload.canonicalName : workload.name,
      workloadName: workload.workloadName,
      namespace: workload.namespace,
      canonicalName: workload.canonicalName,
      app: workload.canonicalName,
      canonicalRevision: workload.canonicalRevision,
      clusterId: workload.clusterId,
      region: workload.locality.region,
      zone: workload.locality.zone,
      identity: formatSpiffe(workload),
    };
    known.set(workload, party);
  }
  return party;
}

/** What a client says about itself, for those that we cannot look up; undefined when it says nothing. */
export function sourceFromBaggage(baggage: Baggage): Party | undefined {
  if (Object.keys(baggage).length === 0) return undefined;
  return partyFromBaggage(baggage, baggage.serviceName, "");
}

/** The far end of a tunnel in a tunnel: proven is its identity, everything else is what it says about itself. */
export function farEndFromBaggage(baggage: Baggage, identity: SpiffeIdentity): Party {
  return partyFromBaggage(baggage, baggage.workloadName, formatSpiffe(identity));
}

/** No value takes the place of another one: these are labels, and must be what the reference prints. */
function partyFromBaggage(
  baggage: Baggage,
  displayName: string | undefined,
  identity: string,
): Party {
  return {
    displayName: displayName ?? "",
    workloadName: baggage.workloadName ?? "",
    namespace: baggage.namespace ?? "",
    canonicalName: baggage.serviceName ?? "",
    app: baggage.workloadName ?? "",
    canonicalRevision: baggage.revision ?? "",
    clusterId: baggage.clusterId ?? "",
    region: baggage.region ?? "",
    zone: baggage.zone ?? "",
    identity,
  };
}
