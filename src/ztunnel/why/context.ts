/** What an explanation is made from: the mesh's state and the settings of the proxy whose decisions are told. */
import type { MeshView } from "../../shared/model/mesh-view.ts";
import type { Service, Workload } from "../../shared/model/workload.ts";
import type { IpAddress } from "../../shared/net/ip.ts";

/** The state of a node, with the means to look things up by the names that people use. */
export interface WhyView extends MeshView {
  workloads(): Iterable<Workload>;
  services(): Iterable<Service>;
}

export interface WhyContext {
  readonly view: WhyView;
  /** The node's network; undefined takes the source's. */
  readonly network: string | undefined;
  readonly clusterDomain: string;
  readonly preferredNamespace: string | undefined;
  readonly ipv6Enabled: boolean;
  readonly illegalPorts: ReadonlySet<number>;
  readonly localhostAppTunnel: boolean;
  /** Addresses of a hostname, as far as somebody has looked them up; without them the answer stops at the name. */
  readonly resolved?: (hostname: string) => readonly IpAddress[] | undefined;
  /** What makes every answer from this state uncertain. */
  readonly caveat?: string | undefined;
  /** Further words about a workload that is judged, from a source that knows more than the proxies. */
  readonly remarks?: (workload: Workload) => readonly string[];
}

/** Where a connection starts: a workload, or an address that no workload has. */
export interface Origin {
  readonly workload: Workload | undefined;
  readonly ip: IpAddress;
  readonly network: string;
}

export function workloadLabel(workload: Workload): string {
  return `${workload.namespace}/${workload.name === "" ? workload.uid : workload.name}`;
}

/** Captured and carried by the proxy of its node. */
export function inMesh(workload: Workload | undefined): workload is Workload {
  return workload !== undefined && workload.protocol === "HBONE";
}
