/** Builds the workloads of a pass from all their origins. */
import type { Locality } from "../../shared/model/workload.ts";
import { type ObjectKey, type ObjectOf, objectKey } from "../../shared/objects/kinds.ts";
import type { Condition } from "./conditions.ts";
import { buildSliceEndpoints } from "./endpoint-slices.ts";
import { Memo } from "./memo.ts";
import type { ObjectTable } from "./objects.ts";
import { buildPod, podAddresses } from "./pods.ts";
import { isRedirected, type RedirectedPods } from "./redirection.ts";
import type { Surroundings } from "./service-builder.ts";
import type { ServiceInfo } from "./service-info.ts";
import type { MeshSettings } from "./settings.ts";
import { bindingCondition } from "./waypoint-conditions.ts";
import { hasOwnWaypoint } from "./waypoints.ts";
import { type PlacedWorkload, placementIngredients, placeWorkload } from "./workload-context.ts";
import {
  buildServiceEntryEndpoint,
  buildWorkloadEntry,
  type EntrySpec,
  normalizeEntry,
} from "./workload-entries.ts";
import type { PublishedWorkload } from "./workload-parts.ts";
import type { WorkloadPolicies } from "./workload-policies.ts";

export interface WorkloadInput extends Surroundings {
  readonly objects: ObjectTable;
  readonly redirected: RedirectedPods;
  readonly policies: WorkloadPolicies;
  readonly localityOf: (node: string) => Locality;
}

export interface BuiltWorkloads {
  readonly workloads: ReadonlyMap<string, PublishedWorkload>;
  readonly conditions: readonly Condition[];
}

export class WorkloadBuilder {
  readonly #settings: MeshSettings;
  readonly #single = new Memo<string, PublishedWorkload>();
  readonly #many = new Memo<string, readonly PublishedWorkload[]>();
  readonly #normalized = new Memo<ObjectKey, ObjectOf<"WorkloadEntry">>();

  constructor(settings: MeshSettings) {
    this.#settings = settings;
  }

  build(input: WorkloadInput): BuiltWorkloads {
    const workloads = new Map<string, PublishedWorkload>();
    const conditions: Condition[] = [];
    const add = (workload: PublishedWorkload): void => void workloads.set(workload.uid, workload);
    for (const pod of input.objects.ofKind("Pod")) this.#pod(pod, input, add, conditions);
    for (const entry of input.objects.ofKind("WorkloadEntry"))
      this.#workloadEntry(entry, input, add, conditions);
    for (const entry of input.objects.ofKind("ServiceEntry")) this.#serviceEntry(entry, input, add);
    for (const slice of input.objects.ofKind("EndpointSlice")) this.#slice(slice, input, add);
    input.networks.workloads.forEach(add);
    for (const memo of [this.#single, this.#many, this.#normalized]) memo.endPass();
    return { workloads, conditions };
  }

  #place(
    object: ObjectOf<"Pod"> | ObjectOf<"WorkloadEntry">,
    network: string,
    input: WorkloadInput,
    conditions: Condition[],
  ): PlacedWorkload {
    const placed = placeWorkload(
      object.metadata,
      network,
      input.networks,
      input.waypoints,
      input.objects,
    );
    if (hasOwnWaypoint(object.metadata))
      conditions.push(...bindingCondition(objectKey(object), placed.binding));
    return placed;
  }

  #pod(
    pod: ObjectOf<"Pod">,
    input: WorkloadInput,
    add: (workload: PublishedWorkload) => void,
    conditions: Condition[],
  ): void {
    const addresses = podAddresses(pod);
    if (addresses === undefined) return;
    const { namespace, labels } = pod.metadata;
    const services = input.services.ofPod(pod);
    const policies = input.policies.namesFor(namespace, labels);
    const { placement } = this.#place(pod, input.networks.local, input, conditions);
    const locality = input.localityOf(pod.spec.nodeName);
    const redirected = isRedirected(pod, input.objects, input.redirected);
    const ingredients = [
      pod,
      services,
      policies,
      locality,
      redirected,
      ...placementIngredients(placement),
    ];
    add(
      this.#single.get(objectKey(pod), ingredients, () =>
        buildPod(
          pod,
          addresses,
          { services, policies, placement, locality, redirected },
          this.#settings,
        ),
      ),
    );
  }

  #workloadEntry(
    object: ObjectOf<"WorkloadEntry">,
    input: WorkloadInput,
    add: (workload: PublishedWorkload) => void,
    conditions: Condition[],
  ): void {
    const key = objectKey(object);
    const entry = this.#normalized.get(key, [object], () => normalizeEntry(object));
    const { namespace, labels } = entry.metadata;
    const services = input.services.selecting(namespace, labels);
    const policies = input.policies.namesFor(namespace, labels);
    const { placement } = this.#place(
      entry,
      entry.spec.network || input.networks.local,
      input,
      conditions,
    );
    const ingredients = [entry, services, policies, ...placementIngredients(placement)];
    add(
      this.#single.get(key, ingredients, () =>
        buildWorkloadEntry(entry, { services, policies, placement }, this.#settings),
      ),
    );
  }

  /** Without endpoints a name to resolve is its own endpoint; an entry whose hosts all lost to others has none. */
  #serviceEntry(
    entry: ObjectOf<"ServiceEntry">,
    input: WorkloadInput,
    add: (workload: PublishedWorkload) => void,
  ): void {
    const services = input.services.ofEntry(entry);
    if (services.length === 0) return;
    const { spec } = entry;
    if (spec.endpoints.length > 0) {
      for (const endpoint of spec.endpoints)
        add(this.#entryEndpoint(entry, endpoint, services, input, true));
      return;
    }
    if (
      spec.resolution === "STATIC" ||
      spec.resolution === "NONE" ||
      spec.workloadSelector !== undefined
    )
      return;
    for (const info of services) {
      const endpoint = { address: info.service.hostname, ports: {}, labels: {} };
      add(this.#entryEndpoint(entry, endpoint, [info], input, false));
    }
  }

  #entryEndpoint(
    entry: ObjectOf<"ServiceEntry">,
    spec: EntrySpec,
    services: readonly ServiceInfo[],
    input: WorkloadInput,
    placed: boolean,
  ): PublishedWorkload {
    const { namespace, labels } = entry.metadata;
    const policies = input.policies.namesFor(namespace, labels);
    const network = spec.network || input.networks.local;
    // An endpoint has no metadata: its waypoint follows from its own labels and the namespace.
    const { placement } = placeWorkload(
      { ...entry.metadata, labels: placed ? spec.labels : noWaypointLabels },
      network,
      input.networks,
      input.waypoints,
      input.objects,
    );
    const ingredients = [entry, spec, services, policies, ...placementIngredients(placement)];
    return this.#single.get(`${objectKey(entry)}/${spec.address ?? ""}`, ingredients, () =>
      buildServiceEntryEndpoint(entry, spec, { services, policies, placement }, this.#settings),
    );
  }

  #slice(
    slice: ObjectOf<"EndpointSlice">,
    input: WorkloadInput,
    add: (workload: PublishedWorkload) => void,
  ): void {
    const info = input.services.ofSlice(slice);
    if (info === undefined) return;
    const network = input.networks.local;
    this.#many
      .get(objectKey(slice), [slice, info, network], () =>
        buildSliceEndpoints(slice, info, network, this.#settings),
      )
      .forEach(add);
  }
}

/** An implicit endpoint stands for the service itself and never has a waypoint of its own. */
const noWaypointLabels = { "istio.io/use-waypoint": "none" };
