/**
 * Gives back the pages of program files that only the start needed. About half of what a Node process shows as resident is
 * text and constants of its binary; most of it is touched once, while the runtime boots. The kernel could take those pages at
 * any time, but does so only under pressure, so a node proxy looks twice as large as what it works with.
 *
 * Safe because nothing but pages of files is dropped: a mapping with a single anonymous page is left alone (relocated data
 * looks read-only too; what a process changes in a private mapping is anonymous), and a page that is touched again is mapped
 * again from the page cache (madvise(2), MADV_DONTNEED on a file mapping). Pages that count as dirty are those of a file that
 * was written a moment ago, by an installation: the page cache has them, whoever maps them.
 */
import { readFileSync } from "node:fs";
import { libc } from "./libc.ts";

const MADV_DONTNEED = 4;
const MIN_KIB = 1024;

/** A mapping of a file of which this process has modified no page. */
export interface CleanMapping {
  readonly start: bigint;
  readonly end: bigint;
}

const HEADER = /^([0-9a-f]+)-([0-9a-f]+) (r-[x-]p) [0-9a-f]+ [0-9a-f:]+ (\d+)/;

/** Reads /proc/self/smaps: read-only private mappings of files, larger than a mebibyte, without a page of our own. */
export function cleanMappings(smaps: string): readonly CleanMapping[] {
  const found: CleanMapping[] = [];
  for (const block of smaps.split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/)) {
    const header = HEADER.exec(block);
    if (header === null || header[4] === "0") continue;
    const kib = (field: string): number =>
      Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(block)?.[1] ?? Number.NaN);
    if (kib("Anonymous") !== 0) continue;
    if (kib("Rss") < MIN_KIB) continue;
    found.push({ start: BigInt(`0x${header[1]}`), end: BigInt(`0x${header[2]}`) });
  }
  return found;
}

/** Drops them from this process. Returns how many bytes of address space were advised; 0 where it is not possible. */
export function releaseStartupPages(): number {
  let released = 0;
  for (const { start, end } of cleanMappings(readFileSync("/proc/self/smaps", "utf8"))) {
    const length = Number(end - start);
    if (libc().madvise(start, length, MADV_DONTNEED) === 0) released += length;
  }
  return released;
}
