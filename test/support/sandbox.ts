/**
 * Import this first in a test file that needs a world: the file is then run a second time inside a sandbox of its own,
 * reports from there as if it were the first, and takes everything down with it when it ends.
 */
import { after } from "node:test";
import { isInsideSandbox, probeSandbox, runInSandbox } from "../../src/cli/world/sandbox.ts";

/** A file whose own clean-up fails must not wait for ever for processes that it left running. */
const CLEAN_UP_DEADLINE_MS = 15_000;

if (isInsideSandbox()) {
  after(() => {
    setTimeout(() => process.exit(), CLEAN_UP_DEADLINE_MS).unref();
  });
} else {
  const kind = probeSandbox(["ip", "nft"]);
  process.exit(runInSandbox(kind, [process.execPath, ...process.execArgv, process.argv[1] ?? ""]));
}
