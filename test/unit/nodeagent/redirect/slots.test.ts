import assert from "node:assert/strict";
import { it } from "node:test";
import { Slots } from "../../../../src/nodeagent/redirect/slots.ts";

it("never runs more than the limit, starts in order, and survives failures", async () => {
  const slots = new Slots(2);
  let running = 0;
  let most = 0;
  const started: number[] = [];
  const work = (i: number) => async (): Promise<void> => {
    started.push(i);
    most = Math.max(most, ++running);
    await new Promise((resolve) => setImmediate(resolve));
    running--;
    if (i % 3 === 0) throw new Error("fails");
  };
  const results = await Promise.allSettled(
    Array.from({ length: 10 }, (_, i) => slots.use(work(i))),
  );
  assert.equal(most, 2);
  assert.deepEqual(started, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal(results.filter(({ status }) => status === "rejected").length, 4);
  await slots.use(work(1));
});
