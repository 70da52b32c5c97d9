/** Waypoints among the objects of a file or folder, and what the mesh makes of them. */
import { loadStatus } from "../../controlplane/status/load.ts";
import type { Condition } from "../../controlplane/translate/conditions.ts";
import { defaultMeshSettings } from "../../controlplane/translate/settings.ts";
import { readObjects } from "../../shared/objects/file/read.ts";
import type { ObjectOf } from "../../shared/objects/kinds.ts";
import { type ObjectSnapshot, objectsOfKind } from "../../shared/objects/source.ts";
import { WAYPOINT_CLASS } from "./gateway-object.ts";

export type Gateway = ObjectOf<"Gateway">;

/** By namespace and name; Gateways of other classes are none of these commands' business. Undefined: all namespaces. */
export function waypointsIn(
  snapshot: ObjectSnapshot,
  namespace: string | undefined,
): readonly Gateway[] {
  return [...objectsOfKind(snapshot, "Gateway")]
    .filter(
      ({ spec, metadata }) =>
        spec.gatewayClassName === WAYPOINT_CLASS &&
        (namespace === undefined || metadata.namespace === namespace),
    )
    .sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

function keyOf({ metadata }: Gateway): string {
  return `${metadata.namespace}/${metadata.name}`;
}

export function waypointsOf(config: string, namespace: string | undefined): readonly Gateway[] {
  return waypointsIn(readObjects(config), namespace);
}

/** The newest word about each Gateway. */
export async function programmedConditions(
  config: string,
): Promise<ReadonlyMap<string, Condition>> {
  const { conditions } = await loadStatus(config, defaultMeshSettings);
  return new Map(
    conditions.filter(({ type }) => type === "Programmed").map((one) => [one.object, one]),
  );
}
