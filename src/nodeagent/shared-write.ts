/**
 * Turns "write everything as it is now" into something that may be called at any time: one write at a time, and all who ask
 * while one runs share the next. Who asks gets the result of a write that contains what was true when he asked.
 */
export function sharedWrite(write: () => Promise<void>): () => Promise<void> {
  let next: Promise<void> | undefined;
  let current: Promise<void> = Promise.resolve();
  return () => {
    next ??= current.then(async () => {
      next = undefined;
      const writing = write();
      // Only its end matters to the one after it.
      current = writing.catch(() => undefined);
      await writing;
    });
    return next;
  };
}
