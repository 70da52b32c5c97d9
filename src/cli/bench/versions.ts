/** Another version of ambit, built beside this one from the repository it was started from. */
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { mustRun } from "../world/process.ts";

export interface BuiltVersion {
  /** Short hash of the commit. */
  readonly commit: string;
  readonly bundle: string;
  readonly remove: () => void;
}

/** Checks a commit out into a temporary folder and builds it. Rejects with what git, npm or the build said. */
export async function buildVersion(ref: string, ownBundle: string): Promise<BuiltVersion> {
  const root = resolve(dirname(ownBundle), "..");
  const git = ["git", "-C", root];
  const commit = (
    await mustRun([...git, "rev-parse", "--short", "--verify", `${ref}^{commit}`])
  ).trim();
  const folder = mkdtempSync(join(tmpdir(), `ambit-${commit}-`));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    await mustRun([
      "sh",
      "-c",
      'git -C "$1" archive "$2" | tar -x -C "$3"',
      "sh",
      root,
      commit,
      folder,
    ]);
    if (sameFile(root, folder, "package-lock.json"))
      symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    else
      await mustRun([
        "npm",
        "ci",
        "--prefix",
        folder,
        "--no-fund",
        "--no-audit",
        "--loglevel=error",
      ]);
    await mustRun([process.execPath, join(folder, "scripts/build.mjs")]);
    return { commit, bundle: join(folder, "dist/ambit.mjs"), remove };
  } catch (thrown) {
    remove();
    throw thrown;
  }
}

function sameFile(a: string, b: string, name: string): boolean {
  const [left, right] = [join(a, name), join(b, name)];
  return existsSync(left) && existsSync(right) && readFileSync(left).equals(readFileSync(right));
}
