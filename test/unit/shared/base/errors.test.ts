import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import { describeError, errorCodes, MeshError } from "../../../../src/shared/base/errors.ts";

const ROW = /^\| `([a-z0-9-]+)` \| ([a-z]+) \| ([a-z-]+) \| `([A-Z0-9_-]+)` \|/gm;

test("every error code has its row in docs/errors.md, and the page has no other", () => {
  const page = readFileSync(resolve(import.meta.dirname, "../../../../docs/errors.md"), "utf8");
  const rows = [...page.matchAll(ROW)];
  assert.deepEqual(rows.map((row) => row[1]).sort(), [...errorCodes].sort());
  for (const [, code, source, retry, flag] of rows) {
    const error = new MeshError(errorCodes.find((known) => known === code) ?? "io-failed", "x");
    assert.deepEqual([error.source, error.retry, error.flag], [source, retry, flag], code);
  }
});

test("a chain of causes that ends in itself is told in finite time", () => {
  const loop = new Error("loop");
  loop.cause = loop;
  assert.equal(describeError(loop), "loop");
});
