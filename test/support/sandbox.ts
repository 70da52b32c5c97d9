/**
 * Import this first in a test file that needs a world: the file is then run a second time inside a sandbox of its own,
 * reports from there as if it were the first, and takes everything down with it when it ends.
 */
import { isInsideSandbox, probeSandbox, runInSandbox } from "../../src/cli/world/sandbox.ts";

if (!isInsideSandbox()) {
  const kind = probeSandbox(["ip", "nft"]);
  process.exit(runInSandbox(kind, [process.execPath, ...process.execArgv, process.argv[1] ?? ""]));
}
