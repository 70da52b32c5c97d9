/**
 * Runs a task whenever asked, never twice at once; all asks during a run are answered by one more run. The task handles
 * its own failures.
 */
export function coalesce(task: () => Promise<void>): () => void {
  let state: "idle" | "running" | "asked-again" = "idle";
  const run = async (): Promise<void> => {
    do {
      state = "running";
      await task();
    } while (wasAskedAgain());
    state = "idle";
  };
  const wasAskedAgain = (): boolean => state === "asked-again";
  return () => {
    if (state === "idle") void run();
    else state = "asked-again";
  };
}
