/** Finds the object files below a path, and says cheaply whether one changed. */
import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describeError } from "../../base/errors.ts";

export interface FoundFile {
  readonly path: string;
  /** Differs when the content may differ. Follows symbolic links, as mounted configuration consists of them. */
  readonly signature: string;
}

export interface Scan {
  readonly files: readonly FoundFile[];
  /** Folders whose events matter. */
  readonly folders: readonly string[];
  readonly unreadable: readonly { readonly path: string; readonly reason: string }[];
}

const OBJECT_FILE = /\.(ya?ml|json)$/i;

/** Files by name, in a fixed order; names that begin with a dot are not ours. Throws when the root itself is unreadable. */
export async function scanPath(root: string): Promise<Scan> {
  if (!(await stat(root)).isDirectory()) {
    const file = await describeFile(root);
    return { files: [file], folders: [dirname(root)], unreadable: [] };
  }
  const scan: MutableScan = { files: [], folders: [], unreadable: [] };
  await scanFolder(root, scan);
  return scan;
}

interface MutableScan {
  readonly files: FoundFile[];
  readonly folders: string[];
  readonly unreadable: { path: string; reason: string }[];
}

async function scanFolder(folder: string, scan: MutableScan): Promise<void> {
  scan.folders.push(folder);
  const names = (await readdir(folder)).filter((name) => !name.startsWith(".")).sort();
  for (const name of names) {
    const path = join(folder, name);
    try {
      const isDirectory = (await stat(path)).isDirectory();
      if (isDirectory) await scanFolder(path, scan);
      else if (OBJECT_FILE.test(name)) scan.files.push(await describeFile(path));
    } catch (thrown) {
      scan.unreadable.push({ path, reason: describeError(thrown) });
    }
  }
}

async function describeFile(path: string): Promise<FoundFile> {
  const { ino, size, mtimeMs, ctimeMs } = await stat(path);
  return { path, signature: `${ino}:${size}:${mtimeMs}:${ctimeMs}` };
}

export function readText(path: string): Promise<string> {
  return readFile(path, "utf8");
}
