/** The objects of a snapshot, sorted out once for all builders of a pass. */
import type { Labels } from "../../shared/model/enrollment.ts";
import type { Kind, MeshObject, ObjectOf } from "../../shared/objects/kinds.ts";

export class ObjectTable {
  readonly #byKind = new Map<Kind, MeshObject[]>();
  readonly #byKey: ReadonlyMap<string, MeshObject>;

  constructor(objects: ReadonlyMap<string, MeshObject>) {
    this.#byKey = objects;
    for (const object of objects.values()) {
      const list = this.#byKind.get(object.kind);
      if (list === undefined) this.#byKind.set(object.kind, [object]);
      else list.push(object);
    }
  }

  ofKind<K extends Kind>(kind: K): readonly ObjectOf<K>[] {
    return (this.#byKind.get(kind) ?? []) as unknown as readonly ObjectOf<K>[];
  }

  find<K extends Kind>(kind: K, namespace: string, name: string): ObjectOf<K> | undefined {
    return this.#byKey.get(`${kind}/${namespace}/${name}`) as ObjectOf<K> | undefined;
  }

  namespace(name: string): ObjectOf<"Namespace"> | undefined {
    return this.find("Namespace", "", name);
  }

  namespaceLabels(name: string): Labels {
    return this.namespace(name)?.metadata.labels ?? {};
  }
}

/** Older first; objects of the same age, or of unknown age, by namespace and name. */
export function byAge(a: MeshObject, b: MeshObject): number {
  const left = a.metadata.creationTimestamp ?? "";
  const right = b.metadata.creationTimestamp ?? "";
  return (
    compareText(left, right) ||
    compareText(a.metadata.namespace, b.metadata.namespace) ||
    compareText(a.metadata.name, b.metadata.name)
  );
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Groups by a key, keeping the order. */
export function groupBy<K, T>(items: Iterable<T>, keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
