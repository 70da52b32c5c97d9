/** What everything that reads the mesh's objects sees, whichever place they come from: a file, a folder, an API server. */
import type { Kind, MeshObject, ObjectKey, ObjectOf } from "./kinds.ts";

/** Something in the input that did not take effect. `kept` says that an older good state is still in force. */
export interface SourceProblem {
  readonly file: string;
  /** 1-based; 0 when the problem has no place in the file. */
  readonly line: number;
  /** The object, when its kind and name could be read. */
  readonly object?: string;
  /** Path of the field, "" for the whole object or file. */
  readonly path: string;
  readonly reason: string;
  readonly kept: boolean;
}

/** An object of a kind that the mesh does not know. */
export interface SkippedObject {
  readonly file: string;
  readonly line: number;
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
}

export interface ObjectSnapshot {
  /** Grows by one with every change. */
  readonly revision: number;
  /** An object whose content did not change is the same reference in the next snapshot. */
  readonly objects: ReadonlyMap<ObjectKey, MeshObject>;
  readonly problems: readonly SourceProblem[];
  readonly skipped: readonly SkippedObject[];
}

/** The difference between two snapshots; objects with other content are in `upserted`. */
export interface ObjectChange {
  readonly upserted: readonly MeshObject[];
  readonly removed: readonly MeshObject[];
}

export interface ObjectSource {
  readonly snapshot: ObjectSnapshot;
  /** Called after each change of objects, problems or skipped objects; returns the way to stop listening. */
  onChange(listener: (snapshot: ObjectSnapshot, change: ObjectChange) => void): () => void;
  close(): void;
}

export function objectsOfKind<K extends Kind>(snapshot: ObjectSnapshot, kind: K): ObjectOf<K>[] {
  const found: ObjectOf<K>[] = [];
  for (const object of snapshot.objects.values()) {
    if (object.kind === kind) found.push(object as ObjectOf<K>);
  }
  return found;
}
