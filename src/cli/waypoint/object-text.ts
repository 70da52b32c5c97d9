/** Changes single objects in the text of an object file and leaves everything else as somebody wrote it. Pure. */
import { type Document, isMap, isSeq, type Pair, parseAllDocuments, type YAMLMap } from "yaml";

export interface ObjectName {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** A label with no text is taken away. */
export interface ObjectEdit {
  readonly labels: Readonly<Record<string, string | undefined>>;
  /** Set whole, by path. */
  readonly fields?: readonly (readonly [path: readonly string[], value: unknown])[];
}

/** Undefined when the text has no such object. */
export function editObject(text: string, name: ObjectName, edit: ObjectEdit): string | undefined {
  return changeDocument(text, name, (document, found) => {
    for (const [key, value] of Object.entries(edit.labels)) {
      if (value !== undefined) found.setIn(["metadata", "labels", key], value);
      else if (found.hasIn(["metadata", "labels", key]))
        found.deleteIn(["metadata", "labels", key]);
    }
    const labels = found.getIn(["metadata", "labels"]);
    if (isMap(labels) && labels.items.length === 0) found.deleteIn(["metadata", "labels"]);
    for (const [path, value] of edit.fields ?? []) found.setIn(path, document.createNode(value));
    return document.toString({ directives: false, lineWidth: 0 });
  });
}

/** Undefined when the text has no such object; empty when nothing else was in it. */
export function removeObject(text: string, name: ObjectName): string | undefined {
  return changeDocument(text, name, (document, found) => {
    if (document.contents === found) return "";
    const items = document.get("items");
    if (isSeq(items)) items.items = items.items.filter((item) => item !== found);
    return document.toString({ directives: false, lineWidth: 0 });
  });
}

export function appendObject(text: string, added: string): string {
  if (text.trim() === "") return added;
  return `${text.endsWith("\n") ? text : `${text}\n`}---\n${added}`;
}

type Change = (document: Document, found: YAMLMap) => string;

function changeDocument(text: string, name: ObjectName, change: Change): string | undefined {
  const marker = /^---(?=[ \t\r\n]|$)/m;
  const parts = text.split(new RegExp(marker, "m"));
  for (const [index, part] of parts.entries()) {
    const [document] = parseAllDocuments(part);
    if (document === undefined || !("contents" in document)) continue;
    const found = findObject(document.contents, name);
    if (found === undefined) continue;
    const changed = change(document as unknown as Document, found);
    const kept = parts.map((other, at) => (at === index ? lead(part) + changed : other));
    const whole = changed === "" ? kept.filter((_, at) => at !== index) : kept;
    return whole.every((one) => one.trim() === "") ? "" : whole.join("---").replace(/^---\n/, "");
  }
  return undefined;
}

/** The line break behind the marker of a document. */
function lead(part: string): string {
  return /^[ \t]*\r?\n/.exec(part)?.[0] ?? "";
}

/** Also among the items of a list. */
function findObject(node: unknown, name: ObjectName): YAMLMap | undefined {
  if (!isMap(node)) return undefined;
  const items = node.get("items");
  if (isSeq(items)) {
    for (const item of items.items) {
      const found = findObject(item, name);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  const matches =
    node.get("kind") === name.kind &&
    node.getIn(["metadata", "name"]) === name.name &&
    (name.namespace === "" ||
      (node.getIn(["metadata", "namespace"]) ?? "default") === name.namespace);
  return matches ? (node as YAMLMap<unknown, Pair>) : undefined;
}
