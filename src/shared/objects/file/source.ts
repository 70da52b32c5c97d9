/**
 * Objects from a file or a folder, kept up to date while they change on disk. What is broken on disk never takes away
 * what worked: it is logged once, stands in the snapshot's problems, and the last good state stays in force.
 */
import { basename } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { describeError } from "../../base/errors.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { MeshObject, ObjectKey } from "../kinds.ts";
import type { ObjectChange, ObjectSnapshot, ObjectSource, SourceProblem } from "../source.ts";
import {
  emptyContent,
  type FileContent,
  mergeContents,
  unreadableContent,
  updateContent,
} from "./content.ts";
import {
  describeFile,
  type FoundFile,
  isObjectFile,
  readText,
  type Scan,
  scanPath,
} from "./scan.ts";
import { FolderWatcher, type Touched, type WatcherOptions } from "./watcher.ts";

export interface FileSourceDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

interface KnownFile {
  readonly signature: string;
  readonly content: FileContent;
}

/** Reads everything once, then watches. Throws when the path does not exist or cannot be read at all. */
export function openFileSource(
  deps: FileSourceDeps,
  path: string,
  options?: WatcherOptions,
): ObjectSource {
  const source = new FileSource(deps, path, options);
  try {
    source.load();
  } catch (thrown) {
    source.close();
    throw new Error(`Cannot read objects from ${path}: ${describeError(thrown)}`, {
      cause: thrown,
    });
  }
  return source;
}

class FileSource implements ObjectSource {
  readonly #deps: FileSourceDeps;
  readonly #path: string;
  readonly #watcher: FolderWatcher;
  readonly #listeners = new Set<(snapshot: ObjectSnapshot, change: ObjectChange) => void>();
  #files: ReadonlyMap<string, KnownFile> = new Map();
  #snapshot: ObjectSnapshot = { revision: 0, objects: new Map(), problems: [], skipped: [] };

  constructor(deps: FileSourceDeps, path: string, options: WatcherOptions | undefined) {
    this.#deps = deps;
    this.#path = path;
    this.#watcher = new FolderWatcher(deps.clock, (touched) => this.#onTouched(touched), options);
  }

  get snapshot(): ObjectSnapshot {
    return this.#snapshot;
  }

  onChange(listener: (snapshot: ObjectSnapshot, change: ObjectChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#watcher.close();
    this.#listeners.clear();
  }

  /** Watches first and reads then, so that no change falls between. */
  load(): void {
    this.#watcher.setFolders(scanPath(this.#path).folders);
    this.#reread(undefined);
  }

  #onTouched(touched: Touched): void {
    try {
      this.#reread(touched);
    } catch (thrown) {
      this.#rootUnreadable(describeError(thrown));
    }
  }

  #reread(touched: Touched): void {
    const known = touched === undefined ? undefined : this.#knownAmong(touched);
    if (known === undefined) {
      this.#rereadAll();
      return;
    }
    const files = new Map(this.#files);
    for (const found of known) files.set(found.path, this.#readFile(found));
    this.#publish(files, []);
  }

  #rereadAll(): void {
    const scan = scanPath(this.#path);
    this.#watcher.setFolders(scan.folders);
    const files = new Map<string, KnownFile>();
    for (const found of scan.files) files.set(found.path, this.#readFile(found));
    this.#publish(files, this.#keepUnreadable(scan, files));
  }

  /** The files to look at when only files that we know were touched; undefined when something came or went. */
  #knownAmong(touched: ReadonlySet<string>): readonly FoundFile[] | undefined {
    const found: FoundFile[] = [];
    for (const path of touched) {
      if (!this.#files.has(path)) {
        if (isObjectFile(basename(path))) return undefined;
        // A folder, or the link that a mounted configuration is swapped by, may hide behind any other name.
        if (!isTemporary(basename(path))) return undefined;
        continue;
      }
      try {
        found.push(describeFile(path));
      } catch {
        return undefined;
      }
    }
    return found;
  }

  #readFile(found: FoundFile): KnownFile {
    const known = this.#files.get(found.path);
    if (known !== undefined && known.signature === found.signature) return known;
    const content = known?.content ?? emptyContent(found.path);
    try {
      const text = readText(found.path);
      const unchanged = known !== undefined && text === content.text;
      return {
        signature: found.signature,
        content: unchanged ? content : updateContent(content, text),
      };
    } catch (thrown) {
      return { signature: "", content: unreadableContent(content, describeError(thrown)) };
    }
  }

  /** A file that exists but cannot be looked at keeps what it last gave. */
  #keepUnreadable(scan: Scan, files: Map<string, KnownFile>): SourceProblem[] {
    return scan.unreadable.map(({ path, reason }) => {
      const known = this.#files.get(path);
      if (known !== undefined) files.set(path, known);
      return { file: path, line: 0, path: "", reason, kept: known !== undefined };
    });
  }

  #rootUnreadable(reason: string): void {
    const problem = { file: this.#path, line: 0, path: "", reason, kept: true };
    this.#publish(this.#files, [problem]);
  }

  #publish(files: ReadonlyMap<string, KnownFile>, unreadable: readonly SourceProblem[]): void {
    if (sameContents(files, this.#files) && unreadable.length === 0 && this.#snapshot.revision > 0)
      return;
    this.#files = files;
    const contents = [...files.values()].map(({ content }) => content);
    const { objects, duplicates } = mergeContents(contents);
    const problems = [
      ...unreadable,
      ...contents.flatMap((content) => content.problems),
      ...duplicates,
    ];
    const change = difference(this.#snapshot.objects, objects);
    this.#logProblems(problems);
    const previous = this.#snapshot;
    const skipped = contents.flatMap((content) => content.skipped);
    const unchanged = isEmpty(change) && sameProblems(previous.problems, problems);
    if (previous.revision > 0 && unchanged && skipped.length === previous.skipped.length) return;
    this.#snapshot = { revision: previous.revision + 1, objects, problems, skipped };
    for (const listener of this.#listeners) listener(this.#snapshot, change);
  }

  #logProblems(problems: readonly SourceProblem[]): void {
    const known = new Set(this.#snapshot.problems.map(problemText));
    for (const problem of problems) {
      const text = problemText(problem);
      if (!known.has(text)) this.#deps.log.warn(text);
    }
    if (problems.length === 0 && this.#snapshot.problems.length > 0)
      this.#deps.log.info("all objects are valid again");
  }
}

/** What editors and atomic writers leave beside a file for a moment. */
function isTemporary(name: string): boolean {
  return /\.(tmp|swp|swx)$|~$/.test(name);
}

/** One line for a person: place, object, field, reason, consequence. */
export function problemText(problem: SourceProblem): string {
  const place = problem.line > 0 ? `${problem.file}:${problem.line}` : problem.file;
  const subject = [problem.object, problem.path]
    .filter((part) => part !== undefined && part !== "")
    .join(" ");
  const consequence = problem.kept ? " (the last good state stays in force)" : "";
  return `${place}: ${subject === "" ? "" : `${subject}: `}${problem.reason}${consequence}`;
}

function sameContents(
  a: ReadonlyMap<string, KnownFile>,
  b: ReadonlyMap<string, KnownFile>,
): boolean {
  if (a.size !== b.size) return false;
  for (const [path, file] of a) {
    if (b.get(path)?.content !== file.content) return false;
  }
  return true;
}

function sameProblems(a: readonly SourceProblem[], b: readonly SourceProblem[]): boolean {
  return (
    a.length === b.length &&
    a.every((problem, i) => {
      const other = b[i];
      return other !== undefined && problemText(problem) === problemText(other);
    })
  );
}

function isEmpty(change: ObjectChange): boolean {
  return change.upserted.length === 0 && change.removed.length === 0;
}

function difference(
  before: ReadonlyMap<ObjectKey, MeshObject>,
  after: ReadonlyMap<ObjectKey, MeshObject>,
): ObjectChange {
  const upserted: MeshObject[] = [];
  const removed: MeshObject[] = [];
  for (const [key, object] of after) {
    if (before.get(key) !== object) upserted.push(object);
  }
  for (const [key, object] of before) {
    if (!after.has(key)) removed.push(object);
  }
  return { upserted, removed };
}
