/** What the clients of the delta discovery protocol share (wire/ztunnel.md section 1). */
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
  /** `<role>~<ip>~<pod>.<namespace>~<namespace>.svc.cluster.local`. */
  readonly id: string;
  /** `<service account>.<namespace>`; a ztunnel sends none. */
  readonly cluster?: string;
  readonly metadata: { readonly [key: string]: JsonValue };
}

/** A request, as plain data; fields that are absent stay unset on the wire. */
export interface DeltaRequest {
  readonly typeUrl: string;
  readonly node?: XdsNode;
  readonly subscribe?: readonly string[];
  readonly unsubscribe?: readonly string[];
  readonly initialVersions?: ReadonlyMap<string, string>;
  readonly nonce?: string;
  /** Text of a NACK. */
  readonly error?: string;
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
