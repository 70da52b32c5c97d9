/** Where the process and its threads begin; the only file with side effects at import. */
import { isMainThread } from "node:worker_threads";

if (isMainThread) {
  const { main, systemIo } = await import("./main.ts");
  process.exitCode = await main(process.argv.slice(2), systemIo(new URL(import.meta.url)));
} else {
  const { runOnThread } = await import("./data-path-thread.ts");
  runOnThread();
}
