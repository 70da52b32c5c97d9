/** Workloads that are no pods: WorkloadEntries, and the endpoints written inside ServiceEntries. */
import type { Labels } from "../../shared/model/enrollment.ts";
import { type ServiceKey, serviceKey } from "../../shared/model/workload.ts";
import { parseIp } from "../../shared/net/ip.ts";
import type { ObjectOf } from "../../shared/objects/kinds.ts";
import { AUTO_REGISTRATION_GROUP, USE_WAYPOINT, WORKLOAD_NAME_LABEL } from "./names.ts";
import type { ServiceInfo } from "./service-info.ts";
import type { MeshSettings } from "./settings.ts";
import { type Placement, placementFields } from "./workload-context.ts";
import {
  blankWorkload,
  canonicalService,
  isMarkedRedirected,
  noLocality,
  type PortPairs,
  type PublishedWorkload,
  parseLocality,
  tunnelOf,
} from "./workload-parts.ts";

export type EntrySpec = ObjectOf<"WorkloadEntry">["spec"];

export interface EntryFacts {
  readonly services: readonly ServiceInfo[];
  readonly policies: readonly string[];
  readonly placement: Placement;
}

/** Labels may stand in both places of a WorkloadEntry; those of its metadata win. */
export function normalizeEntry(entry: ObjectOf<"WorkloadEntry">): ObjectOf<"WorkloadEntry"> {
  if (Object.keys(entry.spec.labels).length === 0) return entry;
  const labels = { ...entry.spec.labels, ...entry.metadata.labels };
  return { ...entry, metadata: { ...entry.metadata, labels } };
}

export function buildWorkloadEntry(
  entry: ObjectOf<"WorkloadEntry">,
  facts: EntryFacts,
  settings: MeshSettings,
): PublishedWorkload {
  const { metadata, spec } = entry;
  const workloadName =
    metadata.annotations[AUTO_REGISTRATION_GROUP] ??
    metadata.labels[WORKLOAD_NAME_LABEL] ??
    metadata.name;
  return {
    ...endpointWorkload(spec, facts, settings),
    uid: `${settings.clusterId}/networking.istio.io/WorkloadEntry/${metadata.namespace}/${metadata.name}`,
    name: metadata.name,
    namespace: metadata.namespace,
    workloadName,
    ...canonicalService(metadata.labels, workloadName),
    ...tunnelOf(metadata.labels, isMarkedRedirected(entry)),
  };
}

/** One endpoint of a ServiceEntry, written in it or implied by it. */
export interface EndpointOfEntry {
  readonly spec: EntrySpec;
  readonly services: readonly ServiceInfo[];
  /** Labels by which the endpoint may ask for a waypoint. */
  readonly waypointLabels: Labels;
}

/**
 * Without endpoints a name to resolve is its own endpoint, and then stands for the service itself, which never has a
 * workload's waypoint. An entry whose hosts all lost to others has no endpoints.
 */
export function entryEndpoints(
  entry: ObjectOf<"ServiceEntry">,
  services: readonly ServiceInfo[],
): readonly EndpointOfEntry[] {
  const { endpoints, resolution, workloadSelector } = entry.spec;
  if (services.length === 0) return [];
  if (endpoints.length > 0)
    return endpoints.map((spec) => ({ spec, services, waypointLabels: spec.labels }));
  if (resolution === "STATIC" || resolution === "NONE" || workloadSelector !== undefined) return [];
  return services.map((info) => ({
    spec: { address: info.service.hostname, ports: {}, labels: {} },
    services: [info],
    waypointLabels: { [USE_WAYPOINT]: "none" },
  }));
}

/** Labels for policies, names and the tunnel are those of the ServiceEntry itself. */
export function buildServiceEntryEndpoint(
  entry: ObjectOf<"ServiceEntry">,
  spec: EntrySpec,
  facts: EntryFacts,
  settings: MeshSettings,
): PublishedWorkload {
  const { metadata } = entry;
  return {
    ...endpointWorkload(spec, facts, settings),
    uid: `${settings.clusterId}/networking.istio.io/ServiceEntry/${metadata.namespace}/${metadata.name}/${spec.address ?? ""}`,
    name: metadata.name,
    namespace: metadata.namespace,
    workloadName: metadata.name,
    ...canonicalService(metadata.labels, metadata.name),
    ...tunnelOf(metadata.labels, isMarkedRedirected(entry)),
  };
}

/** A name in place of an address is resolved by the node proxy when it is needed. */
function endpointWorkload(
  spec: EntrySpec,
  facts: EntryFacts,
  settings: MeshSettings,
): PublishedWorkload {
  const address = spec.address ?? "";
  const ip = parseIp(address);
  return {
    ...blankWorkload(settings),
    addresses: ip === undefined ? [] : [ip],
    hostname: ip === undefined ? address : "",
    ...placementFields(facts.placement),
    serviceAccount: spec.serviceAccount ?? "",
    services: entryServices(spec, facts.services),
    authorizationPolicies: facts.policies,
    locality: spec.locality === undefined ? noLocality : parseLocality(spec.locality),
    ...(spec.weight === undefined || spec.weight === 0
      ? {}
      : { capacity: spec.weight, capacityStated: true }),
  };
}

function entryServices(
  spec: EntrySpec,
  services: readonly ServiceInfo[],
): ReadonlyMap<ServiceKey, PortPairs> {
  return new Map(
    services.map((info) => [
      serviceKey(info.service.namespace, info.service.hostname),
      entryPorts(spec, info),
    ]),
  );
}

function entryPorts(spec: EntrySpec, info: ServiceInfo): PortPairs {
  const ports: [number, number][] = [];
  for (const { servicePort, targetPort } of info.service.ports) {
    const names = info.portNames.get(servicePort);
    const target =
      names === undefined
        ? targetPort
        : (own(spec.ports, names.target || names.port) ??
          (names.target === "" ? targetPort : undefined));
    if (target !== undefined) ports.push([servicePort, target]);
  }
  return ports;
}

function own(ports: EntrySpec["ports"], name: string): number | undefined {
  return Object.hasOwn(ports, name) ? ports[name] : undefined;
}
