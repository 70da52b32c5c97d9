/** The documents speak of tests that exist: a difference that nothing holds is a claim. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";

const root = resolve(import.meta.dirname, "../..");
const text = readFileSync(resolve(root, "docs/differences.md"), "utf8");
const paths = [...text.matchAll(/`((?:test|src|docs)\/[^`\s]+)`/g)].map((match) => match[1] ?? "");

test("every path that docs/differences.md names is there", () => {
  assert.ok(paths.length > 40, `only ${paths.length} paths found`);
  assert.deepEqual(
    paths.filter((path) => !existsSync(resolve(root, path))),
    [],
  );
});

test("every row of its tables has as many cells as its head", () => {
  const cells = (line: string): number => line.replaceAll("\\|", "").split("|").length;
  const lines = text.split("\n");
  const wrong = lines.filter((line, index) => {
    if (!line.startsWith("|")) return false;
    let head = index;
    while (lines[head - 1]?.startsWith("|")) head--;
    return cells(line) !== cells(lines[head] ?? "");
  });
  assert.deepEqual(wrong, []);
});
