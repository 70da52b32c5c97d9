import assert from "node:assert/strict";
import { test } from "node:test";
import { parseWorkerThreads, resolveWorkerThreads } from "../../../src/ztunnel/worker-threads.ts";

function threads(setting: string, cpus: number, limit?: number, request?: number): number {
  return resolveWorkerThreads(parseWorkerThreads(setting), { cpus, limit, request });
}

test("a count or a share is taken as it is, on any machine", () => {
  assert.equal(threads("1", 64), 1);
  assert.equal(threads("2", 1), 2);
  assert.equal(threads("7", 2), 7);
  assert.equal(threads("50%", 8), 4);
  assert.equal(threads("10%", 2), 1);
  assert.equal(threads("0", 6), 6);
});

test("automatic: one thread up to three CPUs, then the reference's number, at most half of the CPUs and four", () => {
  const wanted: readonly (readonly [number, number])[] = [
    [1, 1],
    [2, 1],
    [3, 1],
    [4, 2],
    [8, 2],
    [12, 3],
    [16, 4],
    [64, 4],
  ];
  for (const [cpus, expected] of wanted) assert.equal(threads("", cpus), expected, `${cpus} CPUs`);
});

test("automatic follows the container's limit and request within those bounds", () => {
  assert.equal(threads("", 16, 1), 1);
  assert.equal(threads("", 16, 3), 3);
  assert.equal(threads("", 16, undefined, 3), 4);
  assert.equal(threads("", 8, undefined, 3), 3);
  assert.equal(threads("", 2, 2), 1);
  assert.equal(threads("", 64, 32), 4);
});
