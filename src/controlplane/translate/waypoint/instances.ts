/** The endpoints behind each service: its workloads, with what only their objects say about them. */
import type { Labels } from "../../../shared/model/enrollment.ts";
import type { ServiceKey } from "../../../shared/model/workload.ts";
import type { ObjectTable } from "../objects.ts";
import { canonicalService, type PublishedWorkload } from "../workload-parts.ts";

/** A workload as an endpoint of services. */
export interface Instance {
  readonly workload: PublishedWorkload;
  /** Its own, those by which subsets select. */
  readonly labels: Labels;
  /** `workload;namespace;canonical name;canonical revision;cluster` for telemetry of clients. */
  readonly telemetry: string;
  readonly terminating: boolean;
  /** The health of others is not known. */
  readonly isPod: boolean;
  readonly createdAt: string;
}

interface Origin {
  readonly labels: Labels;
  /** Where it is another one than the workload's. */
  readonly workloadName?: string;
  readonly isPod?: true;
  readonly terminating: boolean;
  readonly createdAt: string;
}

const noLabels: Labels = {};
const nothing: Origin = { labels: noLabels, terminating: false, createdAt: "" };

/** Instances keep their reference while workload and labels do. */
export class InstanceTable {
  #known = new Map<string, Instance>();
  #next = new Map<string, Instance>();

  /** By service, in the order of the workloads. */
  build(
    workloads: ReadonlyMap<string, PublishedWorkload>,
    objects: ObjectTable,
  ): ReadonlyMap<ServiceKey, readonly Instance[]> {
    const byService = new Map<ServiceKey, Instance[]>();
    for (const workload of workloads.values()) {
      for (const key of workload.services.keys()) {
        const instance = this.#instanceOf(workload, objects);
        const known = byService.get(key);
        if (known === undefined) byService.set(key, [instance]);
        else known.push(instance);
      }
    }
    this.#known = this.#next;
    this.#next = new Map();
    return byService;
  }

  #instanceOf(workload: PublishedWorkload, objects: ObjectTable): Instance {
    const made = this.#next.get(workload.uid);
    if (made !== undefined) return made;
    const origin = originOf(workload, objects);
    const known = this.#known.get(workload.uid);
    const same =
      known?.workload === workload &&
      known.labels === origin.labels &&
      known.terminating === origin.terminating;
    const instance = known !== undefined && same ? known : makeInstance(workload, origin);
    this.#next.set(workload.uid, instance);
    return instance;
  }
}

function makeInstance(workload: PublishedWorkload, origin: Origin): Instance {
  const { namespace, clusterId } = workload;
  const workloadName = origin.workloadName ?? workload.workloadName;
  const { canonicalName, canonicalRevision } = canonicalService(origin.labels, workloadName);
  const revision = canonicalRevision === "latest" ? "" : canonicalRevision;
  return {
    workload,
    labels: origin.labels,
    telemetry: [workloadName, namespace, canonicalName, revision, clusterId].join(";"),
    terminating: origin.terminating,
    isPod: origin.isPod === true,
    createdAt: origin.createdAt,
  };
}

/** The uid says which object a workload was made of: `cluster/group/kind/namespace/name[/part]`. */
export function originOf({ uid }: PublishedWorkload, objects: ObjectTable): Origin {
  const [, , kind, namespace = "", name = "", ...rest] = uid.split("/");
  switch (kind) {
    case "Pod": {
      const pod = objects.find("Pod", namespace, name);
      return pod === undefined
        ? nothing
        : {
            labels: pod.metadata.labels,
            isPod: true,
            terminating: pod.metadata.deletionTimestamp !== undefined,
            createdAt: pod.metadata.creationTimestamp ?? "",
          };
    }
    case "WorkloadEntry": {
      const entry = objects.find("WorkloadEntry", namespace, name);
      return entry === undefined
        ? nothing
        : {
            labels:
              Object.keys(entry.spec.labels).length === 0
                ? entry.metadata.labels
                : { ...entry.spec.labels, ...entry.metadata.labels },
            terminating: false,
            createdAt: entry.metadata.creationTimestamp ?? "",
          };
    }
    case "ServiceEntry": {
      const entry = objects.find("ServiceEntry", namespace, name);
      const address = rest.join("/");
      const index = entry?.spec.endpoints.findIndex((one) => (one.address ?? "") === address) ?? -1;
      return {
        labels: entry?.spec.endpoints[index]?.labels ?? noLabels,
        ...(index < 0 ? {} : { workloadName: `${name}-${index}` }),
        terminating: false,
        createdAt: entry?.metadata.creationTimestamp ?? "",
      };
    }
    case "EndpointSlice":
      return written;
    default:
      return nothing;
  }
}

/** Endpoints in a slice have a health that somebody states. */
const written: Origin = { ...nothing, isPod: true };
