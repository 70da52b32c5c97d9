import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
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

test("threads may collect at the same time: V8's flags are the process's", async () => {
  const module = new URL("../../../../src/shared/os/collect-garbage.ts", import.meta.url);
  const source = `
    import { collectGarbage } from ${JSON.stringify(module.href)};
    for (let i = 0; i < 30; i++) collectGarbage();`;
  const threads = [1, 2, 3].map(
    () => new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`)),
  );
  // A thread's error rejects.
  const codes = await Promise.all(threads.map((thread) => once(thread, "exit")));
  assert.deepEqual(codes, [[0], [0], [0]]);
});
