/** Threads of this program as workers of Node. */
import { Worker } from "node:worker_threads";
import type { StartThread } from "../ztunnel/threads/port.ts";

/** Starts the program's entry once more, on a thread of its own. */
export function threadStarter(entry: URL): StartThread {
  return (start) => {
    const worker = new Worker(entry, {
      workerData: start,
      name: `data path ${start.thread}`,
      // Descriptors are made by system calls and passed between threads: Node's books on them would be wrong.
      trackUnmanagedFds: false,
    });
    let failure: Error | undefined;
    worker.on("error", (error: Error) => {
      failure = error;
    });
    worker.on("messageerror", (error) => {
      failure = error;
      void worker.terminate();
    });
    return {
      post: (message) => worker.postMessage(message),
      onMessage: (take) => {
        worker.on("message", take);
      },
      ended: new Promise((resolve) => {
        worker.on("exit", (code) =>
          resolve(failure ?? (code === 0 ? undefined : new Error(`exit code ${code}`))),
        );
      }),
      terminate: () => void worker.terminate(),
    };
  };
}
