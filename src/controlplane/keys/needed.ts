/** The key sets that policies at waypoints need fetched. */
import type { MeshObject } from "../../shared/objects/kinds.ts";
import { targetRefsOf } from "../translate/waypoint/attachment.ts";
import { type KeySource, keySourceOf } from "../translate/waypoint/policies/tokens.ts";

export function neededKeys(objects: Iterable<MeshObject>): readonly KeySource[] {
  const needed: KeySource[] = [];
  for (const object of objects) {
    if (object.kind !== "RequestAuthentication" || targetRefsOf(object).length === 0) continue;
    for (const rule of object.spec.jwtRules) {
      const source = keySourceOf(rule);
      if (source !== undefined) needed.push(source);
    }
  }
  return needed;
}
