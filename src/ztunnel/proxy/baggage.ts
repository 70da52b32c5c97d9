/** The `baggage` header: how the two ends of a tunnel describe themselves for telemetry (wire/ztunnel.md section 4.5). */
import type { HeaderField } from "../../shared/hbone/tunnel.ts";
import type { Workload } from "../../shared/model/workload.ts";

export interface Baggage {
  readonly clusterId?: string;
  readonly namespace?: string;
  readonly workloadName?: string;
  readonly serviceName?: string;
  readonly revision?: string;
  readonly region?: string;
  readonly zone?: string;
}

const fieldOfKey: Readonly<Record<string, keyof Baggage>> = {
  "k8s.cluster.name": "clusterId",
  "k8s.namespace.name": "namespace",
  "k8s.deployment.name": "workloadName",
  "k8s.cronjob.name": "workloadName",
  "k8s.pod.name": "workloadName",
  "k8s.job.name": "workloadName",
  "service.name": "serviceName",
  "service.version": "revision",
  "cloud.region": "region",
  "cloud.availability_zone": "zone",
};

const printed = new WeakMap<Workload, string>();

/** Fixed order, empty values left out, nothing encoded. */
export function formatBaggage(workload: Workload): string {
  let text = printed.get(workload);
  if (text === undefined) {
    const items: readonly (readonly [string, string])[] = [
      ["k8s.cluster.name", workload.clusterId],
      ["k8s.namespace.name", workload.namespace],
      [`k8s.${workload.workloadType}.name`, workload.workloadName],
      ["service.name", workload.canonicalName],
      ["service.version", workload.canonicalRevision],
      ["cloud.region", workload.locality.region],
      ["cloud.availability_zone", workload.locality.zone],
    ];
    text = items
      .filter(([, value]) => value !== "")
      .map(([key, value]) => `${key}=${value}`)
      .join(",");
    printed.set(workload, text);
  }
  return text;
}

/** Reads all `baggage` fields; unknown keys and empty values are skipped, a later value wins. Never throws. */
export function parseBaggage(headers: readonly HeaderField[]): Baggage {
  const found: Record<string, string> = {};
  for (const [name, value] of headers) {
    if (name !== "baggage") continue;
    for (const member of value.split(",")) {
      const equals = member.indexOf("=");
      if (equals < 0) continue;
      const field = memberField(member.slice(0, equals).trim());
      const text = member.slice(equals + 1).trim();
      if (field !== undefined && text !== "") found[field] = text;
    }
  }
  return found;
}

function memberField(key: string): keyof Baggage | undefined {
  return Object.hasOwn(fieldOfKey, key) ? fieldOfKey[key] : undefined;
}
