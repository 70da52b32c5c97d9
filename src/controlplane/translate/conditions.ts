/** What became of an object, for a person and for `status.conditions`: the reference's condition types and reasons. */
import type { ObjectKey } from "../../shared/objects/kinds.ts";

export type ConditionType =
  | "ZtunnelAccepted"
  | "WaypointAccepted"
  | "istio.io/WaypointBound"
  // Of the Gateway API.
  | "Accepted"
  | "Programmed"
  | "ResolvedRefs"
  | "ResolvedWaypoints";

export interface Condition {
  readonly object: ObjectKey;
  readonly type: ConditionType;
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
}
