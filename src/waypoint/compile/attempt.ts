import { CompileError, type Path } from "./notes.ts";

/** What `make` refuses is refused here, with the path of the field. */
export function attempt<T>(path: Path, make: () => T): T {
  let failure: unknown;
  try {
    return make();
  } catch (thrown) {
    failure = thrown;
  }
  const reason = failure instanceof Error ? failure.message : String(failure);
  throw new CompileError(path, reason, { cause: failure });
}
