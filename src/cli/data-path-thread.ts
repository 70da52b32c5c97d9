/** The program on a thread that is not the main one: a share of a ztunnel's data path. Started by thread-starter.ts. */
import { parentPort, threadId, workerData } from "node:worker_threads";
import { systemClock } from "../shared/base/clock.ts";
import { joinDataPath } from "../ztunnel/threads/member.ts";
import type { ThreadStart } from "../ztunnel/threads/port.ts";
import { reportDefects } from "./report-defects.ts";

/** Serves until the main thread says otherwise. */
export function runOnThread(): void {
  const port = parentPort;
  if (port === null) throw new Error(`thread ${threadId} has no parent`);
  const { logger } = joinDataPath({
    port: {
      post: (message) => port.postMessage(message),
      onMessage: (take) => {
        port.on("message", take);
      },
    },
    start: workerData as ThreadStart,
    clock: systemClock,
    random: Math.random,
    // Of this thread alone. What it has posted still arrives: Node empties the port before it tells of the end.
    end: (error) => process.exit(error === undefined ? 0 : 1),
  });
  reportDefects(logger);
}
