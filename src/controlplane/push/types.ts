/** What is pushed: finished bytes by type and name, so that a thousand clients cost one encoding. */

export const addressType = "type.googleapis.com/istio.workload.Address";
export const workloadType = "type.googleapis.com/istio.workload.Workload";
export const authorizationType = "type.googleapis.com/istio.security.Authorization";

export type TypeUrl = typeof addressType | typeof workloadType | typeof authorizationType;

export function isKnownType(typeUrl: string): typeUrl is TypeUrl {
  return typeUrl === addressType || typeUrl === workloadType || typeUrl === authorizationType;
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
  readonly tables: Readonly<Record<TypeUrl, ResourceTable>>;
}

/** What the step to a new snapshot changed in one type. */
export interface TableChange {
  readonly upserted: readonly PushResource[];
  readonly removed: readonly PushResource[];
}

export type SnapshotChange = Readonly<Record<TypeUrl, TableChange>>;
