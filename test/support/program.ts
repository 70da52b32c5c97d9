/** The command line of the bundled program, as `bin/ambit` starts it. */
import { resolve } from "node:path";

export const program: readonly string[] = [
  process.execPath,
  "--max-semi-space-size=1",
  "--single-threaded-gc",
  resolve(import.meta.dirname, "../../dist/ambit.mjs"),
];
