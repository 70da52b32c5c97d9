/**
 * What the xDS client needs from the compilers and from the live clusters. Results are plain and immutable; the same message
 * gives the same result, and what an update leaves alone keeps its identity.
 */
import type { Cluster as ClusterMessage } from "../../shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import type { ClusterLoadAssignment } from "../../shared/wire/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import type { MainListener } from "../compile/main-listener.ts";
import type { Notes } from "../compile/notes.ts";
import type { AccessLog } from "../telemetry/config.ts";
import type { TerminatePlan } from "../terminate/plan.ts";
import type { Clusters } from "../upstream/upstream.ts";

export interface ResourceCompilers<ClusterPlan, EndpointPlan> {
  /** All throw CompileError. */
  cluster(message: ClusterMessage, notes: Notes): ClusterPlan;
  /** The name under which endpoints are asked for; undefined: the cluster needs none. */
  endpointsName(plan: ClusterPlan): string | undefined;
  /** Key material that the control plane has to deliver. */
  secretNames(plan: ClusterPlan): readonly string[];
  endpoints(message: ClusterLoadAssignment, notes: Notes): EndpointPlan;
  /**
   * From the octets of the Listener, so that chains which did not change need not even be decoded: they are taken from
   * `previous`, which is what the same listener compiled to before.
   */
  main(bytes: Uint8Array, notes: Notes, previous: MainListener | undefined): MainListener;
  terminate(bytes: Uint8Array, notes: Notes): TerminatePlan;
  /** Of connect_originate and the like: access logs of tunnels that could not be made. */
  wayOut(bytes: Uint8Array, notes: Notes): readonly AccessLog[];
}

export interface LiveClusters<ClusterPlan, EndpointPlan> {
  /**
   * Makes exactly these current, and returns the view of them. Clusters and endpoints whose plan is the same object as before
   * go on undisturbed; connections of removed ones end with their last request.
   */
  update(
    clusters: ReadonlyMap<string, ClusterPlan>,
    endpoints: ReadonlyMap<string, EndpointPlan>,
  ): Clusters;
  /** Whether a cluster knows its endpoints, where those do not come from the control plane: a name has to be resolved first. */
  isWarm?(name: string): boolean;
  /** Settles when all of them are warm, or gone. */
  whenWarm?(names: Iterable<string>): Promise<void>;
}
