/** Object files on disk, as far as these commands change them. */
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { MeshObject } from "../../shared/objects/kinds.ts";
import { CommandFailure } from "../command.ts";
import {
  appendObject,
  editObject,
  type ObjectEdit,
  type ObjectName,
  removeObject,
} from "./object-text.ts";

function nameOf({ kind, metadata }: MeshObject): ObjectName {
  const namespace = kind === "Namespace" ? "" : metadata.namespace;
  return { kind, namespace, name: metadata.name };
}

export function editInPlace(object: MeshObject, edit: ObjectEdit): void {
  replace(object, (text) => editObject(text, nameOf(object), edit));
}

/** A file in which nothing is left goes too. */
export function removeFromPlace(object: MeshObject): void {
  replace(object, (text) => removeObject(text, nameOf(object)));
}

/** Into a file of its own in a folder, else at the end of the file. */
export function addObject(config: string, fileName: string, text: string): void {
  const isFolder = statSync(config).isDirectory();
  const path = isFolder ? join(config, fileName) : config;
  write(path, appendObject(readIfThere(path), text));
}

function replace({ origin }: MeshObject, change: (text: string) => string | undefined): void {
  const { file } = origin;
  const changed = change(readFileSync(file, "utf8"));
  if (changed === undefined)
    throw new CommandFailure(`${file} changed while it was read: try again`);
  if (changed === "") rmSync(file);
  else write(file, changed);
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** Readers see the old or the new file, never a part; they pass over names that begin with a dot. */
function write(path: string, text: string): void {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}`);
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}
