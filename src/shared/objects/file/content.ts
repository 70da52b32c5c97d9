/**
 * What one file contributes: the objects of its newest good state and the problems of its newest text. A broken text
 * changes nothing but the problems; a refused object leaves its last good version in force.
 */
import { type MeshObject, type ObjectKey, objectName } from "../kinds.ts";
import {
  type DocumentPlace,
  type ParsedDocument,
  type ParsedObject,
  parseObjects,
  splitDocuments,
} from "../parse.ts";
import type { SkippedObject, SourceProblem } from "../source.ts";

export interface FileContent {
  readonly path: string;
  readonly text: string;
  readonly objects: readonly MeshObject[];
  readonly problems: readonly SourceProblem[];
  readonly skipped: readonly SkippedObject[];
  readonly documents: DocumentCache;
}

interface CachedDocument {
  readonly place: DocumentPlace;
  readonly parsed: ParsedDocument;
}

/** Parsed documents by their text: what did not change is not parsed again and keeps its objects. */
type DocumentCache = ReadonlyMap<string, CachedDocument>;

export function emptyContent(path: string): FileContent {
  return { path, text: "", objects: [], problems: [], skipped: [], documents: new Map() };
}

export function updateContent(previous: FileContent, text: string): FileContent {
  const documents = new Map<string, CachedDocument>();
  for (const { text: part, firstLine } of splitDocuments(text)) {
    const known = documents.get(part) ?? previous.documents.get(part);
    if (known !== undefined) {
      known.place.firstLine = firstLine;
      documents.set(part, known);
      continue;
    }
    const place = { file: previous.path, firstLine };
    documents.set(part, { place, parsed: parseObjects(part, place) });
  }
  const broken = [...documents.values()].flatMap(({ place, parsed }) =>
    parsed.kind === "broken" ? [{ place, parsed }] : [],
  );
  if (broken.length > 0) return brokenContent(previous, text, broken);
  return goodContent(previous, text, documents);
}

/** The file as a whole could not be read. */
export function unreadableContent(previous: FileContent, reason: string): FileContent {
  const problem = {
    file: previous.path,
    line: 0,
    path: "",
    reason,
    kept: previous.objects.length > 0,
  };
  return { ...previous, problems: [problem] };
}

function brokenContent(
  previous: FileContent,
  text: string,
  broken: readonly { place: DocumentPlace; parsed: { line: number; reason: string } }[],
): FileContent {
  const problems = broken.map(({ place, parsed }) => ({
    file: previous.path,
    line: place.firstLine + parsed.line - 1,
    path: "",
    reason: parsed.reason,
    kept: previous.objects.length > 0,
  }));
  return { ...previous, text, problems };
}

function goodContent(
  previous: FileContent,
  text: string,
  documents: ReadonlyMap<string, CachedDocument>,
): FileContent {
  const content: GrowingContent = { objects: [], problems: [], skipped: [] };
  for (const { place, parsed } of documents.values()) {
    if (parsed.kind === "broken") continue;
    for (const item of parsed.objects) addItem(content, item, place, previous.objects);
  }
  return { path: previous.path, text, documents, ...content };
}

interface GrowingContent {
  readonly objects: MeshObject[];
  readonly problems: SourceProblem[];
  readonly skipped: SkippedObject[];
}

function addItem(
  content: GrowingContent,
  item: ParsedObject,
  place: DocumentPlace,
  lastGood: readonly MeshObject[],
): void {
  switch (item.kind) {
    case "object":
      content.objects.push(item.object);
      break;
    case "skipped": {
      const { apiVersion, type: kind, name } = item;
      const line = place.firstLine + item.line - 1;
      content.skipped.push({ file: place.file, line, apiVersion, kind, name });
      break;
    }
    case "refused": {
      const kept = lastGood.find(({ key }) => key === item.key);
      if (kept !== undefined) content.objects.push(kept);
      content.problems.push(...refusals(item, place, kept !== undefined));
      break;
    }
  }
}

function refusals(
  item: Extract<ParsedObject, { kind: "refused" }>,
  place: DocumentPlace,
  kept: boolean,
): SourceProblem[] {
  return item.problems.map((problem) => ({
    file: place.file,
    line: place.firstLine + problem.line - 1,
    ...(item.object === undefined ? {} : { object: item.object }),
    path: problem.path,
    reason: problem.reason,
    kept,
  }));
}

/** Puts the files together; of two objects with the same name the first in the order of files and lines stands. */
export function mergeContents(contents: readonly FileContent[]): {
  readonly objects: ReadonlyMap<ObjectKey, MeshObject>;
  readonly duplicates: readonly SourceProblem[];
} {
  const objects = new Map<ObjectKey, MeshObject>();
  const duplicates: SourceProblem[] = [];
  for (const content of contents) {
    for (const object of content.objects) {
      const { key } = object;
      const first = objects.get(key);
      if (first === undefined) objects.set(key, object);
      else if (first !== object)
        duplicates.push({
          file: object.origin.file,
          line: object.origin.line,
          object: objectName(object),
          path: "metadata.name",
          reason: `already defined in ${first.origin.file}:${first.origin.line}`,
          kept: false,
        });
    }
  }
  return { objects, duplicates };
}
