/** Traffic distribution: the field, then the service's annotation, then the namespace's. */
import type { Labels } from "../../shared/model/enrollment.ts";
import type { LoadBalancing } from "../../shared/model/workload.ts";
import { TRAFFIC_DISTRIBUTION } from "./names.ts";

export const nodeLocal: LoadBalancing = {
  routingPreferences: ["Node"],
  mode: "Strict",
  healthPolicy: "OnlyHealthy",
};

export const passthrough: LoadBalancing = {
  routingPreferences: [],
  mode: "Passthrough",
  healthPolicy: "AllowAll",
};

const sameZone: LoadBalancing = {
  routingPreferences: ["Network", "Region", "Zone"],
  mode: "Failover",
  healthPolicy: "OnlyHealthy",
};

const sameNode: LoadBalancing = {
  routingPreferences: ["Network", "Region", "Zone", "Subzone", "Node"],
  mode: "Failover",
  healthPolicy: "OnlyHealthy",
};

export function trafficDistribution(
  field: string | undefined,
  serviceAnnotations: Labels,
  namespaceAnnotations: Labels,
): LoadBalancing | undefined {
  if (field === "PreferSameZone" || field === "PreferClose") return sameZone;
  if (field === "PreferSameNode") return sameNode;
  const text =
    serviceAnnotations[TRAFFIC_DISTRIBUTION] || namespaceAnnotations[TRAFFIC_DISTRIBUTION];
  switch (text?.toLowerCase()) {
    case "preferclose":
    case "prefersamezone":
      return sameZone;
    case "prefersamenode":
      return sameNode;
    default:
      return undefined;
  }
}

/** Endpoints count even while they are not ready. */
export function allowingUnready(loadBalancing: LoadBalancing | undefined): LoadBalancing {
  const base = loadBalancing ?? { routingPreferences: [], mode: "Standard" };
  return { ...base, healthPolicy: "AllowAll" };
}
