/**
 * Which pods' redirection is in place, in file mode. In Kubernetes the node agent says so by an annotation on the pod; a
 * folder of objects is not ours to write, so each node agent keeps one small file beside it and the control plane reads
 * all of them. The file of a node replaces itself atomically: a reader sees the old or the new list, never a part.
 */
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describeError } from "../base/errors.ts";

export interface RedirectionStatus {
  readonly node: string;
  /** Uids of the pods of this node whose redirection is in place, sorted. */
  readonly pods: readonly string[];
}

export type RedirectionReading =
  | { readonly kind: "status"; readonly status: RedirectionStatus }
  | { readonly kind: "broken"; readonly file: string; readonly reason: string };

/** Node names are DNS subdomains, so they are file names; anything else is refused rather than sanitized. */
const NODE_NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

/** `<dir>/.ambit/status` for a folder of objects, `<file>.ambit/status` for a single file. */
export async function redirectionStatusDir(configPath: string): Promise<string> {
  const isDirectory = (await stat(configPath)).isDirectory();
  return isDirectory ? join(configPath, ".ambit", "status") : join(`${configPath}.ambit`, "status");
}

/** Writes the list of one node; creates the folder when needed. */
export async function writeRedirectionStatus(
  statusDir: string,
  status: RedirectionStatus,
): Promise<void> {
  const path = statusPath(statusDir, status.node);
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  const text = JSON.stringify({ node: status.node, pods: [...status.pods].sort() }, undefined, 2);
  await writeFile(temporary, `${text}\n`);
  await rename(temporary, path);
}

/** Withdraws the list of one node: from then on the enrollment rule alone speaks for its pods. */
export async function removeRedirectionStatus(statusDir: string, node: string): Promise<void> {
  await rm(statusPath(statusDir, node), { force: true });
}

/** Reads the lists of all nodes; a missing folder is no list at all. */
export async function readRedirectionStatuses(statusDir: string): Promise<RedirectionReading[]> {
  const names = await readdir(statusDir).catch((thrown: unknown) => {
    if (isMissing(thrown)) return [];
    throw thrown;
  });
  const files = names.filter((name) => name.endsWith(".json")).sort();
  return Promise.all(files.map((name) => readStatus(join(statusDir, name))));
}

async function readStatus(file: string): Promise<RedirectionReading> {
  try {
    return parseRedirectionStatus(file, await readFile(file, "utf8"));
  } catch (thrown) {
    return { kind: "broken", file, reason: describeError(thrown) };
  }
}

export function parseRedirectionStatus(file: string, text: string): RedirectionReading {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    return { kind: "broken", file, reason: describeError(thrown) };
  }
  if (typeof value !== "object" || value === null || !("node" in value) || !("pods" in value))
    return { kind: "broken", file, reason: "not an object with node and pods" };
  const { node, pods } = value;
  if (typeof node !== "string" || !NODE_NAME.test(node))
    return { kind: "broken", file, reason: "node: not a node name" };
  if (!Array.isArray(pods) || !pods.every((uid) => typeof uid === "string"))
    return { kind: "broken", file, reason: "pods: not a list of strings" };
  return { kind: "status", status: { node, pods } };
}

function statusPath(statusDir: string, node: string): string {
  if (!NODE_NAME.test(node)) throw new RangeError(`not a node name: ${JSON.stringify(node)}`);
  return join(statusDir, `${node}.json`);
}

function isMissing(thrown: unknown): boolean {
  return thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT";
}
