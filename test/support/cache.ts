/** Where peers that tests install for themselves are kept; the same folder as in scripts/prepare.sh. */
import { homedir } from "node:os";
import { join } from "node:path";

export const cacheDir: string = join(
  process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"),
  "ambit",
);
