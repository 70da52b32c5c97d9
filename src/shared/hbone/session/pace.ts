/**
 * How much is read and joined at once, for the whole process. Large reads carry bulk with the fewest system calls; but a
 * small request behind a large read waits for it. So any small read switches everybody to smaller pieces for the next
 * reads, and only unmixed bulk gets the large ones (perf.md sections 3 and 4).
 */

const bulkBytes = 512 * 1024;
const mixedBytes = 64 * 1024;
/** A read below this is taken for a message rather than bulk. */
const smallReadBytes = 8 * 1024;
/** Reads for which one small read keeps everybody to smaller pieces. */
const mixedReads = 200;

let mixedLeft = 0;

/** Tells how large a read from an application was. */
export function noteRead(length: number): void {
  if (length < smallReadBytes) mixedLeft = mixedReads;
  else if (mixedLeft > 0) mixedLeft--;
}

/** Largest read from an application's socket. */
export function readLimitBytes(): number {
  return mixedLeft > 0 ? mixedBytes : bulkBytes;
}

/** A session that has this much waiting for the write in flight takes no more. */
export function backlogLimitBytes(): number {
  return mixedLeft > 0 ? 2 * mixedBytes : bulkBytes;
}

export const maxReadBytes = bulkBytes;
