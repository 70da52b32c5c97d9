import assert from "node:assert/strict";
import { test } from "node:test";
import { measure } from "../../../../src/cli/bench/micro/measure.ts";
import { microCases } from "../../../../src/cli/bench/micro/run.ts";

const effort = { repetitions: 3, repetitionMs: 2 };

test("allocations of an operation are counted, and that there are none", () => {
  const keep: object[] = [];
  const allocating = measure(
    {
      subject: "t",
      name: "an array of a hundred numbers",
      prepare: () => (times) => {
        for (let time = 0; time < times; time++)
          keep[time & 7] = Array.from({ length: 100 }, () => time);
        return keep.length;
      },
    },
    effort,
  );
  assert.ok(allocating.bytesPerOperation > 300, `${allocating.bytesPerOperation} bytes`);
  const idle = measure(
    {
      subject: "t",
      name: "a sum",
      prepare: () => (times) => {
        let sum = 0;
        for (let time = 0; time < times; time++) sum += time & 3;
        return sum;
      },
    },
    effort,
  );
  assert.ok(idle.bytesPerOperation < 16, `${idle.bytesPerOperation} bytes`);
  assert.ok((idle.nsPerOperation[0] ?? 0) > 0);
  assert.equal(idle.nsPerOperation.length, 3);
});

test("codec, HPACK, policy, routes and balancer are measured", () => {
  const subjects = new Set(microCases.map(({ subject }) => subject));
  assert.deepEqual([...subjects], ["frames", "HPACK", "policy", "routes", "balancer"]);
});

for (const { subject, name, prepare } of microCases)
  test(`${subject}: ${name} does its work each time`, () => {
    const work = prepare();
    const [once, more] = [work(1), work(10)];
    assert.ok(Number.isFinite(once) && more >= once && more > 0, `${once}, ${more}`);
  });
