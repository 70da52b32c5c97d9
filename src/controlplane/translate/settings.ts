/** What the translation knows about the mesh besides its objects. */

export interface MeshSettings {
  readonly clusterId: string;
  /** DNS suffix of services. */
  readonly clusterDomain: string;
  readonly trustDomain: string;
  /** Policies here apply to the whole mesh; its network label names the network of the cluster. */
  readonly rootNamespace: string;
  /** Configuration labelled for another revision is left to that one. */
  readonly revision: string;
  /** Whether policies marked as a dry run are sent for evaluation and report. */
  readonly dryRunPolicies: boolean;
}

export const defaultMeshSettings: MeshSettings = {
  clusterId: "Kubernetes",
  clusterDomain: "cluster.local",
  trustDomain: "cluster.local",
  rootNamespace: "istio-system",
  revision: "default",
  dryRunPolicies: false,
};
