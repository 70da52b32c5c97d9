/** All services of a pass, with the ways in which workloads find theirs. */
import type { Labels } from "../../shared/model/enrollment.ts";
import { type ServiceKey, serviceKey } from "../../shared/model/workload.ts";
import type { ObjectOf } from "../../shared/objects/kinds.ts";
import { LabelIndex } from "./label-index.ts";
import { SLICE_SERVICE_LABEL } from "./names.ts";
import { groupBy } from "./objects.ts";
import type { ServiceInfo } from "./service-info.ts";
import { serviceHostname } from "./services.ts";
import type { MeshSettings } from "./settings.ts";

export class ServiceTable {
  readonly byKey: ReadonlyMap<ServiceKey, ServiceInfo>;
  readonly #settings: MeshSettings;
  readonly #selectors = new Map<string, LabelIndex<ServiceInfo>>();
  readonly #byEntry: ReadonlyMap<string, readonly ServiceInfo[]>;
  readonly #slicesByPod = new Map<string, ObjectOf<"EndpointSlice">[]>();

  constructor(
    infos: readonly ServiceInfo[],
    slices: readonly ObjectOf<"EndpointSlice">[],
    settings: MeshSettings,
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
      const key = `${targetRef.namespace ?? slice.metadata.namespace}/${targetRef.name ?? ""}`;
      const known = this.#slicesByPod.get(key);
      if (known === undefined) this.#slicesByPod.set(key, [slice]);
      else known.push(slice);
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
