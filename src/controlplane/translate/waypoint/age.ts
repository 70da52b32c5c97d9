/** The order of objects where the first one wins. */
import type { MeshObject } from "../../../shared/objects/kinds.ts";
import { byText } from "./wire.ts";

/** Older first; of the same or of unknown age by name, then by namespace. */
export function byAgeAndName(a: MeshObject, b: MeshObject): number {
  return (
    byText(a.metadata.creationTimestamp ?? "", b.metadata.creationTimestamp ?? "") ||
    byText(a.metadata.name, b.metadata.name) ||
    byText(a.metadata.namespace, b.metadata.namespace)
  );
}
