/** What a name lookup asks of the mesh, and what it knows about who asks. */
import type { MeshView } from "../../shared/model/mesh-view.ts";
import type { Workload } from "../../shared/model/workload.ts";

/** The part of the mesh's state that name lookups read. */
export type DnsView = Pick<MeshView, "servicesByHostname" | "allEndpoints">;

/** The part of the pod's own workload that name lookups and their log lines read. */
export type DnsClient = Pick<
  Workload,
  "name" | "namespace" | "network" | "canonicalName" | "canonicalRevision"
>;
