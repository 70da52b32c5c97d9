/** What is pushed: finished bytes by type and name, so that a thousand clients cost one encoding. */

export const addressType = "type.googleapis.com/istio.workload.Address";
export const workloadType = "type.googleapis.com/istio.workload.Workload";
export const authorizationType = "type.googleapis.com/istio.security.Authorization";

/** Made for each waypoint by itself. */
export const clusterType = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
export const endpointType = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
export const listenerType = "type.googleapis.com/envoy.config.listener.v3.Listener";

/** The same for every client. */
export type MeshTypeUrl = typeof addressType | typeof workloadType | typeof authorizationType;
export type WaypointTypeUrl = typeof clusterType | typeof endpointType | typeof listenerType;
export type TypeUrl = MeshTypeUrl | WaypointTypeUrl;

/** In the order in which a push sends them: nothing is sent before what it points at (wire/waypoint.md section 2.4). */
export const pushOrder: readonly TypeUrl[] = [
  clusterType,
  endpointType,
  listenerType,
  addressType,
  workloadType,
  authorizationType,
];

export function isKnownType(typeUrl: string): typeUrl is TypeUrl {
  return pushOrder.some((known) => known === typeUrl);
}

export function isWaypointType(typeUrl: TypeUrl): typeUrl is WaypointTypeUrl {
  return typeUrl === clusterType || typeUrl === endpointType || typeUrl === listenerType;
}

export interface PushResource {
  readonly name: string;
  /** Hash of the content; "" where the reference sends none (authorization). */
  readonly version: string;
  /** Bytes of the message inside the Any. */
  readonly bytes: Uint8Array;
  /** Further keys by which the resource may be asked for: `network/ip`. */
  readonly aliases: readonly string[];
  /** Keys of the services that a workload is an endpoint of; asking for one of them brings the workload along. */
  readonly services: readonly string[];
  /** The node that a workload runs on. */
  readonly node: string;
}

export interface ResourceTable {
  readonly byName: ReadonlyMap<string, PushResource>;
}

/** The whole state at one moment. */
export interface PushSnapshot {
  readonly revision: number;
  readonly tables: Readonly<Record<MeshTypeUrl, ResourceTable>>;
}

/** What the step to a new snapshot changed in one type. */
export interface TableChange {
  readonly upserted: readonly PushResource[];
  readonly removed: readonly PushResource[];
}

export type SnapshotChange = Readonly<Record<MeshTypeUrl, TableChange>>;

export type WaypointTables = Readonly<Record<WaypointTypeUrl, ResourceTable>>;

/** What one waypoint, and its like, is told. */
export interface WaypointResources {
  readonly tables: WaypointTables;
  /** From `before` to `tables`. */
  readonly change: Readonly<Record<WaypointTypeUrl, TableChange>>;
  readonly before: WaypointTables;
}
