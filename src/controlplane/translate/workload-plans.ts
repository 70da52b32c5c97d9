/** How workloads are made of one object: what goes into each, and how to build it should that have changed. */
import type { Locality } from "../../shared/model/workload.ts";
import type { ObjectMeta, ObjectOf } from "../../shared/objects/kinds.ts";
import type { Condition } from "./conditions.ts";
import { buildSliceEndpoints } from "./endpoint-slices.ts";
import { REGION_LABEL, SUBZONE_LABEL, ZONE_LABEL } from "./names.ts";
import type { ObjectTable } from "./objects.ts";
import { buildPod, podAddresses } from "./pods.ts";
import { isRedirected, type RedirectedPods } from "./redirection.ts";
import type { Surroundings } from "./service-builder.ts";
import type { MeshSettings } from "./settings.ts";
import { bindingCondition } from "./waypoint-conditions.ts";
import { hasOwnWaypoint } from "./waypoints.ts";
import { type PlacedWorkload, placementIngredients, placeWorkload } from "./workload-context.ts";
import {
  buildServiceEntryEndpoint,
  buildWorkloadEntry,
  type EndpointOfEntry,
  entryEndpoints,
  normalizeEntry,
} from "./workload-entries.ts";
import { noLocality, type PublishedWorkload } from "./workload-parts.ts";
import type { WorkloadPolicies } from "./workload-policies.ts";

export type WorkloadSource =
  | ObjectOf<"Pod">
  | ObjectOf<"WorkloadEntry">
  | ObjectOf<"ServiceEntry">
  | ObjectOf<"EndpointSlice">;

export interface WorkloadInput {
  readonly around: Surroundings;
  readonly objects: ObjectTable;
  readonly redirected: RedirectedPods;
  readonly policies: WorkloadPolicies;
}

export interface Plan {
  /** Besides the object itself; compared as the memo compares. */
  readonly ingredients: readonly unknown[];
  readonly build: () => readonly PublishedWorkload[];
}

export interface WorkloadPlans {
  readonly plans: readonly Plan[];
  readonly conditions: readonly Condition[];
}

const nothing: WorkloadPlans = { plans: [], conditions: [] };

export function planWorkloads(
  source: WorkloadSource,
  node: ObjectOf<"Node"> | undefined,
  input: WorkloadInput,
  settings: MeshSettings,
): WorkloadPlans {
  switch (source.kind) {
    case "Pod":
      return planPod(source, node, input, settings);
    case "WorkloadEntry":
      return planWorkloadEntry(normalizeEntry(source), input, settings);
    case "ServiceEntry": {
      const endpoints = entryEndpoints(source, input.around.services.ofEntry(source));
      return {
        plans: endpoints.map((endpoint) => planEndpoint(source, endpoint, input, settings)),
        conditions: [],
      };
    }
    case "EndpointSlice":
      return planSlice(source, input, settings);
  }
}

function planPod(
  pod: ObjectOf<"Pod">,
  node: ObjectOf<"Node"> | undefined,
  input: WorkloadInput,
  settings: MeshSettings,
): WorkloadPlans {
  const addresses = podAddresses(pod);
  if (addresses === undefined) return nothing;
  const { around, objects } = input;
  const placed = placeWorkload(pod.metadata, around.networks.local, around, objects);
  const facts = {
    services: around.services.ofPod(pod),
    policies: input.policies.namesFor(pod.metadata.namespace, pod.metadata.labels),
    placement: placed.placement,
    locality: node === undefined ? noLocality : localityOf(node),
    redirected: isRedirected(pod, objects, input.redirected),
  };
  const ingredients = [
    facts.services,
    facts.policies,
    node,
    facts.redirected,
    ...placementIngredients(facts.placement),
  ];
  const build = () => [buildPod(pod, addresses, facts, settings)];
  return { plans: [{ ingredients, build }], conditions: conditionsOf(pod, placed) };
}

function planWorkloadEntry(
  entry: ObjectOf<"WorkloadEntry">,
  input: WorkloadInput,
  settings: MeshSettings,
): WorkloadPlans {
  const { around, objects } = input;
  const { namespace, labels } = entry.metadata;
  const placed = placeWorkload(
    entry.metadata,
    entry.spec.network || around.networks.local,
    around,
    objects,
  );
  const facts = {
    services: around.services.selecting(namespace, labels),
    policies: input.policies.namesFor(namespace, labels),
    placement: placed.placement,
  };
  const ingredients = [facts.services, facts.policies, ...placementIngredients(facts.placement)];
  const build = () => [buildWorkloadEntry(entry, facts, settings)];
  return { plans: [{ ingredients, build }], conditions: conditionsOf(entry, placed) };
}

function conditionsOf(
  object: ObjectOf<"Pod"> | ObjectOf<"WorkloadEntry">,
  { binding }: PlacedWorkload,
): readonly Condition[] {
  return hasOwnWaypoint(object.metadata) ? bindingCondition(object.key, binding) : [];
}

function planEndpoint(
  entry: ObjectOf<"ServiceEntry">,
  endpoint: EndpointOfEntry,
  input: WorkloadInput,
  settings: MeshSettings,
): Plan {
  const { around, objects } = input;
  const { spec, services, waypointLabels } = endpoint;
  // An endpoint has no metadata: its waypoint follows from its own labels and the namespace.
  const meta: ObjectMeta & { readonly namespace: string } = {
    ...entry.metadata,
    labels: waypointLabels,
  };
  const { placement } = placeWorkload(meta, spec.network || around.networks.local, around, objects);
  const policies = input.policies.namesFor(entry.metadata.namespace, entry.metadata.labels);
  return {
    ingredients: [spec.address, services, policies, ...placementIngredients(placement)],
    build: () => [
      buildServiceEntryEndpoint(entry, spec, { services, policies, placement }, settings),
    ],
  };
}

function planSlice(
  slice: ObjectOf<"EndpointSlice">,
  { around }: WorkloadInput,
  settings: MeshSettings,
): WorkloadPlans {
  const info = around.services.ofSlice(slice);
  if (info === undefined) return nothing;
  const network = around.networks.local;
  const build = () => buildSliceEndpoints(slice, info, network, settings);
  return { plans: [{ ingredients: [info, network], build }], conditions: [] };
}

export function localityOf(node: ObjectOf<"Node">): Locality {
  const { labels } = node.metadata;
  return {
    region: labels[REGION_LABEL] ?? "",
    zone: labels[ZONE_LABEL] ?? "",
    subzone: labels[SUBZONE_LABEL] ?? "",
  };
}
