/** The objects of a snapshot, sorted out once for all builders of a pass. */
import type { Labels } from "../../shared/model/enrollment.ts";
import type { Kind, MeshObject, ObjectOf } from "../../shared/objects/kinds.ts";
import { NAMESPACE_NAME_LABEL, REVISION_LABEL } from "./names.ts";

export class ObjectTable {
  readonly #byKind = new Map<Kind, readonly MeshObject[]>();
  readonly #byKey: ReadonlyMap<string, MeshObject>;
  readonly #namespaces = new Map<string, ObjectOf<"Namespace">>();
  readonly #namespaceLabels = new Map<string, Labels>();
  readonly #nodes = new Map<string, ObjectOf<"Node">>();

  /** A kind of which nothing changed since `previous` keeps its list, so that lists can be compared as references. */
  constructor(objects: ReadonlyMap<string, MeshObject>, revision: string, previous?: ObjectTable) {
    this.#byKey = objects;
    const ours = inRevision(objects.values(), revision);
    for (const [kind, list] of groupBy(ours, (object) => object.kind)) {
      const before = previous === undefined ? undefined : previous.#byKind.get(kind);
      this.#byKind.set(kind, before !== undefined && sameItems(before, list) ? before : list);
    }
    for (const namespace of this.ofKind("Namespace")) {
      const { name, labels } = namespace.metadata;
      this.#namespaces.set(name, namespace);
      this.#namespaceLabels.set(name, { ...labels, [NAMESPACE_NAME_LABEL]: name });
    }
    for (const node of this.ofKind("Node")) this.#nodes.set(node.metadata.name, node);
  }

  ofKind<K extends Kind>(kind: K): readonly ObjectOf<K>[] {
    return (this.#byKind.get(kind) ?? none) as unknown as readonly ObjectOf<K>[];
  }

  find<K extends Kind>(kind: K, namespace: string, name: string): ObjectOf<K> | undefined {
    return this.#byKey.get(`${kind}/${namespace}/${name}`) as ObjectOf<K> | undefined;
  }

  namespace(name: string): ObjectOf<"Namespace"> | undefined {
    return this.#namespaces.get(name);
  }

  node(name: string): ObjectOf<"Node"> | undefined {
    return this.#nodes.get(name);
  }

  /** With the label that an API server gives to every namespace, by which selectors name one. */
  namespaceLabels(name: string): Labels {
    return this.#namespaceLabels.get(name) ?? noLabels;
  }
}

/** Configuration that is labelled for another control plane's revision is not ours; what a cluster consists of always is. */
function* inRevision(objects: Iterable<MeshObject>, revision: string): Iterable<MeshObject> {
  for (const object of objects) {
    const label = object.metadata.labels[REVISION_LABEL];
    if (label === undefined || label === revision || !REVISIONED.has(object.kind)) yield object;
  }
}

const REVISIONED: ReadonlySet<Kind> = new Set([
  "AuthorizationPolicy",
  "DestinationRule",
  "GRPCRoute",
  "HTTPRoute",
  "PeerAuthentication",
  "RequestAuthentication",
  "ServiceEntry",
  "TCPRoute",
  "TLSRoute",
  "Telemetry",
  "VirtualService",
  "WorkloadEntry",
]);

const none: readonly MeshObject[] = [];
const noLabels: Labels = {};

function sameItems(a: readonly MeshObject[], b: readonly MeshObject[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

/** Older first. For a stable sort: objects of the same or of unknown age stay in the order of their source. */
export function byAge(a: MeshObject, b: MeshObject): number {
  return compareText(a.metadata.creationTimestamp ?? "", b.metadata.creationTimestamp ?? "");
}

function compareText(a: string, b: string): number {
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
