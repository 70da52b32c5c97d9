import assert from "node:assert/strict";
import { test } from "node:test";
import { collectGarbage } from "../../../../src/shared/os/collect-garbage.ts";

test("what nobody holds is gone afterwards, and no function is left in the global scope", () => {
  let garbage: number[][] | undefined = Array.from({ length: 200 }, () =>
    new Array(20_000).fill(1),
  );
  const before = process.memoryUsage().heapUsed;
  assert.equal(garbage.length, 200);
  garbage = undefined;
  collectGarbage();
  assert.ok(process.memoryUsage().heapUsed < before - 20e6);
  assert.equal(Reflect.get(globalThis, "gc"), undefined);
});
