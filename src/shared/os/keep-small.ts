/** Keeps a proxy's process near the memory that it works with: once after its start, and of the allocator from time to time. */
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../telemetry/logger.ts";
import { trimAllocator } from "./allocator.ts";
import { releaseStartupPages } from "./resident-pages.ts";

/** Where nothing was rehearsed: the first connections have compiled the data path by then. */
const afterStartMs = 1_000;
const everyMs = 10_000;

/** Call once when ready. Returns the way to stop. */
export function keepSmall(clock: Clock, logger: Logger): () => void {
  const start = clock.after(afterStartMs, () => leaveStartBehind(logger));
  const stop = trimFromTimeToTime(clock);
  return () => {
    start.cancel();
    stop();
  };
}

/** Gives back what only the start and the compilers needed. */
export function leaveStartBehind(logger: Logger): void {
  trimAllocator();
  logger.debug("released the pages of the start", { bytes: releaseStartupPages() });
}

/** The other half of `keepSmall`, where the start is left behind already. Returns the way to stop. */
export function trimFromTimeToTime(clock: Clock): () => void {
  const upkeep = clock.every(everyMs, trimAllocator);
  return () => upkeep.cancel();
}
