/** Reads a file or folder of objects once, for tools that only look. */
import { describeError } from "../../base/errors.ts";
import type { ObjectSnapshot } from "../source.ts";
import {
  emptyContent,
  type FileContent,
  mergeContents,
  unreadableContent,
  updateContent,
} from "./content.ts";
import { readText, type Scan, scanPath } from "./scan.ts";

/** Throws when the path itself cannot be read. */
export function readObjects(path: string): ObjectSnapshot {
  const { files, unreadable } = scan(path);
  const contents = files.map((file) => readContent(file.path));
  const { objects, duplicates } = mergeContents(contents);
  return {
    revision: 1,
    objects,
    problems: [
      ...unreadable.map((one) => ({
        file: one.path,
        line: 0,
        path: "",
        reason: one.reason,
        kept: false,
      })),
      ...contents.flatMap(({ problems }) => problems),
      ...duplicates,
    ],
    skipped: contents.flatMap(({ skipped }) => skipped),
  };
}

function scan(path: string): Scan {
  try {
    return scanPath(path);
  } catch (thrown) {
    throw new Error(`Cannot read objects from ${path}: ${describeError(thrown)}`, {
      cause: thrown,
    });
  }
}

function readContent(path: string): FileContent {
  const content = emptyContent(path);
  try {
    return updateContent(content, readText(path));
  } catch (thrown) {
    return unreadableContent(content, describeError(thrown));
  }
}
