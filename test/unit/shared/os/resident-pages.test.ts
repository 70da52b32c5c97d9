import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { cleanMappings, releaseStartupPages } from "../../../../src/shared/os/resident-pages.ts";

function mapping(header: string, sizes: Readonly<Record<string, number>>): string {
  const rows = Object.entries({
    Rss: 4096,
    Anonymous: 0,
    ...sizes,
  });
  return `${header}\n${rows.map(([name, kib]) => `${name}:${String(kib).padStart(16)} kB`).join("\n")}\n`;
}

const text =
  "5581a0000000-5581a1000000 r-xp 00a00000 fe:00 1234                       /usr/bin/node";

const rows: readonly (readonly [title: string, smaps: string, count: number])[] = [
  ["text of a file", mapping(text, {}), 1],
  ["constants of a file", mapping(text.replace("r-xp", "r--p"), {}), 1],
  ["relocated data, which holds pages of our own", mapping(text, { Anonymous: 4 }), 0],
  ["a file that was written a moment ago", mapping(text, { Private_Dirty: 4096 }), 1],
  ["a writable mapping", mapping(text.replace("r-xp", "rw-p"), {}), 0],
  ["a shared mapping", mapping(text.replace("r-xp", "r-xs"), {}), 0],
  ["code without a file", mapping(text.replace("1234", "0"), {}), 0],
  ["less than a mebibyte", mapping(text, { Rss: 512 }), 0],
  ["a kernel that does not tell", text, 0],
];

for (const [title, smaps, count] of rows)
  test(`${title}: ${count === 0 ? "kept" : "released"}`, () => {
    assert.equal(cleanMappings(smaps).length, count);
  });

test("addresses are read in full width", () => {
  assert.deepEqual(cleanMappings(mapping(text, {})), [
    { start: 0x5581a0000000n, end: 0x5581a1000000n },
  ]);
});

test("the process becomes smaller and goes on", () => {
  const residentKib = (): number =>
    Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
  const before = residentKib();
  assert.ok(releaseStartupPages() > 0);
  assert.ok(residentKib() < before - 10 * 1024, `${before} KiB before, ${residentKib()} after`);
});
