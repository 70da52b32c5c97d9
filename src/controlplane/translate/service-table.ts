/** All services of a pass, with the ways in which workloads find theirs. */
import type { Labels } from "../../shared/model/enrollment.ts";
import { type ServiceKey, serviceKey } from "../../shared/model/workload.ts";
import type { ObjectOf } from "../../shared/objects/kinds.ts";
import { LabelIndex } from "./label-index.ts";
import { SLICE_SERVICE_LABEL } from "./names.ts";
import { groupBy } from "./objects.ts";
import { file, type Scope, Scopes } from "./scopes.ts";
import type { ServiceInfo } from "./service-info.ts";
import { serviceHostname } from "./services.ts";
import type { MeshSettings } from "./settings.ts";

export class ServiceTable {
  readonly byKey: ReadonlyMap<ServiceKey, ServiceInfo>;
  readonly #settings: MeshSettings;
  readonly #selectors = new Map<string, LabelIndex<ServiceInfo>>();
  readonly #byEntry: ReadonlyMap<string, readonly ServiceInfo[]>;
  readonly #slicesByPod = new Map<string, ObjectOf<"EndpointSlice">[]>();
  readonly #scopes: Scopes;

  /** What a namespace sees keeps its scope since `previous` while nothing of it changed. */
  constructor(
    infos: readonly ServiceInfo[],
    slices: readonly ObjectOf<"EndpointSlice">[],
    settings: MeshSettings,
    previous?: ServiceTable,
  ) {
    this.#settings = settings;
    this.byKey = new Map(
      infos.map((info) => [serviceKey(info.service.namespace, info.service.hostname), info]),
    );
    this.#byEntry = groupBy(
      infos.filter(({ source }) => source.kind === "ServiceEntry"),
      ({ source }) => `${source.metadata.namespace}/${source.metadata.name}`,
    );
    for (const info of infos) this.#selectorIndex(info.service.namespace).add(info.selector, info);
    for (const slice of slices) this.#indexSlice(slice);
    this.#scopes = new Scopes(
      this.#seenByNamespace(infos, slices),
      previous === undefined ? undefined : previous.#scopes,
    );
  }

  /** Stands for all that workloads of a namespace can find here. */
  scopeOf(namespace: string): Scope {
    return this.#scopes.of(namespace);
  }

  /** By selector, within the namespace. */
  selecting(namespace: string, labels: Labels): ServiceInfo[] {
    return this.#selectors.get(namespace)?.matching(labels) ?? [];
  }

  /** Also services without a selector whose EndpointSlices name the pod; one for each hostname. */
  ofPod(pod: ObjectOf<"Pod">): readonly ServiceInfo[] {
    const { namespace, name, labels } = pod.metadata;
    const found = this.selecting(namespace, labels);
    for (const slice of this.#slicesByPod.get(`${namespace}/${name}`) ?? []) {
      const info = this.ofSlice(slice);
      if (info === undefined || !namesPod(slice, pod)) continue;
      if (!found.some(({ service }) => service.hostname === info.service.hostname))
        found.push(info);
    }
    return found;
  }

  ofSlice(slice: ObjectOf<"EndpointSlice">): ServiceInfo | undefined {
    const { namespace, labels } = slice.metadata;
    const name = labels[SLICE_SERVICE_LABEL];
    if (name === undefined || slice.addressType === "FQDN") return undefined;
    const info = this.byKey.get(
      serviceKey(namespace, serviceHostname(name, namespace, this.#settings)),
    );
    return info?.source.kind === "Service" ? info : undefined;
  }

  /** The services made of one ServiceEntry that won their hostnames, in the order of its hosts. */
  ofEntry(entry: ObjectOf<"ServiceEntry">): readonly ServiceInfo[] {
    const infos = this.#byEntry.get(`${entry.metadata.namespace}/${entry.metadata.name}`) ?? [];
    const { hosts } = entry.spec;
    return [...infos].sort(
      (a, b) => hosts.indexOf(a.service.hostname) - hosts.indexOf(b.service.hostname),
    );
  }

  /** A slice is seen where it stands and where the pods are that it names; with the service it belongs to. */
  #seenByNamespace(
    infos: readonly ServiceInfo[],
    slices: readonly ObjectOf<"EndpointSlice">[],
  ): ReadonlyMap<string, readonly unknown[]> {
    const seen = new Map<string, unknown[]>();
    for (const info of infos) file(seen, info.service.namespace, info);
    for (const slice of slices) {
      const namespaces = new Set([slice.metadata.namespace]);
      for (const { targetRef } of slice.endpoints)
        if (targetRef?.namespace !== undefined) namespaces.add(targetRef.namespace);
      const info = this.ofSlice(slice);
      for (const namespace of namespaces) {
        file(seen, namespace, slice);
        file(seen, namespace, info);
      }
    }
    return seen;
  }

  #selectorIndex(namespace: string): LabelIndex<ServiceInfo> {
    const known = this.#selectors.get(namespace);
    if (known !== undefined) return known;
    const index = new LabelIndex<ServiceInfo>();
    this.#selectors.set(namespace, index);
    return index;
  }

  #indexSlice(slice: ObjectOf<"EndpointSlice">): void {
    for (const { targetRef } of slice.endpoints) {
      if (targetRef?.kind !== "Pod") continue;
      const namespace = targetRef.namespace ?? slice.metadata.namespace;
      file(this.#slicesByPod, `${namespace}/${targetRef.name ?? ""}`, slice);
    }
  }
}

/** A uid on both sides must agree: a pod that was replaced under its name is another pod. */
function namesPod(slice: ObjectOf<"EndpointSlice">, pod: ObjectOf<"Pod">): boolean {
  return slice.endpoints.some(
    ({ targetRef }) =>
      targetRef?.kind === "Pod" &&
      targetRef.name === pod.metadata.name &&
      (targetRef.namespace ?? slice.metadata.namespace) === pod.metadata.namespace &&
      (targetRef.uid === undefined ||
        pod.metadata.uid === undefined ||
        targetRef.uid === pod.metadata.uid),
  );
}
