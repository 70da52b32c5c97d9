/**
 * Runs a task whenever asked, never twice at once; all asks during a run are answered by one more run with what they asked
 * for put together. The task handles its own failures.
 */
export function coalesce<T>(
  task: (asked: T) => Promise<void>,
  join: (a: T, b: T) => T,
): (asked: T) => void {
  let running = false;
  let waiting: { readonly asked: T } | undefined;
  const run = async (first: T): Promise<void> => {
    running = true;
    for (let next: { readonly asked: T } | undefined = { asked: first }; next !== undefined; ) {
      await task(next.asked);
      next = waiting;
      waiting = undefined;
    }
    running = false;
  };
  return (asked) => {
    if (running) waiting = { asked: waiting === undefined ? asked : join(waiting.asked, asked) };
    else void run(asked);
  };
}
