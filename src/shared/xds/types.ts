/** The node proxy's side of the delta discovery protocol (wire/ztunnel.md section 1). */
import type { MeshUpdate } from "../model/mesh-update.ts";

export const addressType = "type.googleapis.com/istio.workload.Address";
export const authorizationType = "type.googleapis.com/istio.security.Authorization";

/** Metadata values as they travel in a protobuf Struct. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

export interface XdsNode {
  /** `ztunnel~<ip>~<pod>.<namespace>~<namespace>.svc.cluster.local`. */
  readonly id: string;
  readonly metadata: { readonly [key: string]: JsonValue };
}

/** Value of the `reason` label of istio_xds_connection_terminations_total. */
export type TerminationReason = "ConnectionError" | "Error" | "Reconnect" | "Complete";

export interface XdsEvents {
  terminated(reason: TerminationReason): void;
  /** One response arrived. */
  message(typeUrl: string, bytes: number): void;
  /** Resources were refused; the NACK carries the same text. */
  rejected(typeUrl: string, problems: readonly string[]): void;
}

/** Where accepted resources go. */
export interface XdsSink {
  apply(update: MeshUpdate): void;
}
