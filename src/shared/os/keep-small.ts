/** Keeps a proxy's process near the memory that it works with: once after its start, and of the allocator from time to time. */
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../telemetry/logger.ts";
import { trimAllocator } from "./allocator.ts";
import { releaseStartupPages } from "./resident-pages.ts";

/** The first connections have compiled the data path by then. */
const afterStartMs = 1_000;
const everyMs = 10_000;

/** Call once when ready; after `delayMs` what only the start needed is given back. Returns the way to stop. */
export function keepSmall(
  clock: Clock,
  logger: Logger,
  delayMs: number = afterStartMs,
): () => void {
  const start = clock.after(delayMs, () => {
    trimAllocator();
    logger.debug("released the pages of the start", { bytes: releaseStartupPages() });
  });
  const upkeep = clock.every(everyMs, trimAllocator);
  return () => {
    start.cancel();
    upkeep.cancel();
  };
}
