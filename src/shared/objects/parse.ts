/**
 * YAML (or JSON) text → objects. Pure. A text is cut into its documents first, and each document is parsed alone, so that
 * a large file in which one object changed costs one object.
 */
import { type Document, LineCounter, type Node, parseDocument } from "yaml";
import { metadata } from "./kinds/core.ts";
import { findKind, kinds, type MeshObject, type Origin, objectKey } from "./kinds.ts";
import { isRecord, type Path, type Problem, pathText } from "./schema.ts";
import { checkObject } from "./semantics.ts";

/** A line is counted from the start of the document's text. */
export type ParsedObject =
  | { readonly kind: "object"; readonly line: number; readonly object: MeshObject }
  | {
      readonly kind: "skipped";
      readonly line: number;
      readonly apiVersion: string;
      readonly name: string;
      readonly type: string;
    }
  | {
      readonly kind: "refused";
      readonly line: number;
      readonly object?: string;
      readonly key?: string;
      readonly problems: readonly PlacedProblem[];
    };

export interface PlacedProblem {
  readonly line: number;
  readonly path: string;
  readonly reason: string;
}

export type ParsedDocument =
  | { readonly kind: "parsed"; readonly objects: readonly ParsedObject[] }
  | { readonly kind: "broken"; readonly line: number; readonly reason: string };

export interface DocumentText {
  readonly text: string;
  /** 1-based line of its first line in the file. */
  readonly firstLine: number;
}

/** Cuts at `---` in the first column, which YAML allows nowhere but between documents. */
export function splitDocuments(text: string): readonly DocumentText[] {
  // Directives belong to the document after their own marker; such files are rare and are left whole.
  if (/^%/m.test(text)) return [{ text, firstLine: 1 }];
  const documents: DocumentText[] = [];
  let firstLine = 1;
  for (const part of text.split(/^---(?=[ \t\r\n]|$)/m)) {
    // Without its leading blank lines a document has the same text wherever in a file it stands.
    const blank = /^(?:[ \t]*\r?\n)*/.exec(part)?.[0] ?? "";
    documents.push({
      text: part.slice(blank.length),
      firstLine: firstLine + countLineFeeds(blank),
    });
    firstLine += countLineFeeds(part);
  }
  return documents.filter(({ text: part }) => part.trim() !== "");
}

function countLineFeeds(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

/** Where a document stands in its file. It moves when something above it grows; its objects move with it. */
export interface DocumentPlace {
  readonly file: string;
  firstLine: number;
}

class OriginInDocument implements Origin {
  readonly #document: DocumentPlace;
  readonly #line: number;

  constructor(document: DocumentPlace, line: number) {
    this.#document = document;
    this.#line = line;
  }

  get file(): string {
    return this.#document.file;
  }

  get line(): number {
    return this.#document.firstLine + this.#line - 1;
  }
}

export function parseObjects(text: string, at: DocumentPlace): ParsedDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    merge: true,
    prettyErrors: false,
    // What is strange becomes a problem with its line, not a warning of the process.
    logLevel: "error",
  });
  const [error] = document.errors;
  if (error !== undefined)
    return { kind: "broken", line: lines.linePos(error.pos[0]).line, reason: error.message };
  let root: unknown;
  try {
    root = document.toJS({ maxAliasCount: 100 });
  } catch (thrown) {
    return {
      kind: "broken",
      line: 1,
      reason: thrown instanceof Error ? thrown.message : String(thrown),
    };
  }
  if (root === null || root === undefined) return { kind: "parsed", objects: [] };
  const locate = (path: Path): number => lineOf(document, lines, path);
  return {
    kind: "parsed",
    objects: expandLists(root, []).map(({ value, path }) => decodeObject(value, path, at, locate)),
  };
}

/** `kind: List` and `kind: <Something>List` hold objects in `items`. */
function expandLists(
  value: unknown,
  path: Path,
): { readonly value: unknown; readonly path: Path }[] {
  if (
    isRecord(value) &&
    typeof value["kind"] === "string" &&
    value["kind"].endsWith("List") &&
    Array.isArray(value["items"])
  )
    return value["items"].flatMap((item: unknown, index) =>
      expandLists(item, [...path, "items", index]),
    );
  return [{ value, path }];
}

function decodeObject(
  value: unknown,
  path: Path,
  at: DocumentPlace,
  locate: (path: Path) => number,
): ParsedObject {
  const line = locate(path);
  const refuse = (
    problems: readonly Problem[],
    name?: { object: string; key?: string },
  ): ParsedObject => ({
    kind: "refused",
    line,
    ...name,
    problems: problems.map((problem) => ({
      line: locate([...path, ...problem.path]),
      path: pathText(problem.path),
      reason: problem.reason,
    })),
  });
  if (!isRecord(value))
    return refuse([{ path: [], reason: "must be an object with apiVersion, kind and metadata" }]);
  const { apiVersion, kind: type, metadata: meta, ...body } = value;
  if (typeof apiVersion !== "string")
    return refuse([{ path: ["apiVersion"], reason: "is required" }]);
  if (typeof type !== "string") return refuse([{ path: ["kind"], reason: "is required" }]);
  const kind = findKind(apiVersion, type);
  if (kind === undefined) return { kind: "skipped", line, apiVersion, type, name: nameOf(meta) };

  const problems: Problem[] = [];
  const decodedMeta = metadata.decode(meta ?? {}, ["metadata"], problems);
  const decodedBody = kinds[kind].body.decode(body, [], problems);
  const namespace = !kinds[kind].namespaced ? "" : (decodedMeta?.namespace ?? namespaceOf(meta));
  const name = {
    object: `${type} ${namespace === "" ? "" : `${namespace}/`}${nameOf(meta)}`,
    key: objectKey(kind, namespace, nameOf(meta)),
  };
  if (decodedMeta === undefined || decodedBody === undefined || problems.length > 0)
    return refuse(problems, name);
  const object = {
    kind,
    key: objectKey(kind, namespace, decodedMeta.name),
    apiVersion,
    metadata: { ...decodedMeta, namespace },
    origin: new OriginInDocument(at, line),
    ...decodedBody,
    // The body was decoded by the schema of exactly this kind; the compiler cannot follow the table.
  } as MeshObject;
  const findings = checkObject(object);
  return findings.length > 0 ? refuse(findings, name) : { kind: "object", line, object };
}

function nameOf(meta: unknown): string {
  return isRecord(meta) && typeof meta["name"] === "string" ? meta["name"] : "";
}

function namespaceOf(meta: unknown): string {
  return isRecord(meta) && typeof meta["namespace"] === "string" ? meta["namespace"] : "default";
}

/** The line of a field, or of its nearest parent that exists. */
function lineOf(document: Document.Parsed, lines: LineCounter, path: Path): number {
  for (let length = path.length; length >= 0; length--) {
    const node: unknown =
      length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    const range = isNode(node) ? node.range : undefined;
    if (range) return lines.linePos(range[0]).line;
  }
  return 1;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "range" in value;
}
