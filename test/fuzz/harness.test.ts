/** The harness itself: it finds a planted mistake, shows the smallest input and the seed, and finds the same again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { playTarget, type Target } from "./harness.ts";

/** Breaks where an octet above 0x7f follows the word. */
const planted: Target = {
  name: "planted",
  run: (input) => {
    const at = input.indexOf("magic");
    if (at >= 0 && (input[at + 5] ?? 0) > 0x7f) throw new Error("the planted mistake");
    return at >= 0 ? "word" : "no word";
  },
  seeds: [Buffer.from("some text with a few words")],
  dictionary: ["magic"],
};

const broken = async (seed: number): Promise<string> => {
  try {
    await playTarget(planted, seed, 20_000);
  } catch (thrown) {
    return (thrown as Error).message;
  }
  return "not found";
};

test("a planted mistake is found, made small, and found again from the same seed", async () => {
  const report = await broken(7);
  assert.match(report, /of seed 7\n/);
  assert.match(report, /\n6d61676963[89a-f][0-9a-f]\n/);
  assert.match(report, /the planted mistake/);
  assert.equal(await broken(7), report);
});

test("an input that takes long is a failure", async () => {
  const slow: Target = {
    ...planted,
    run: () => {
      const end = performance.now() + 250;
      while (performance.now() < end);
      return "slow";
    },
    seeds: [Buffer.alloc(0)],
  };
  await assert.rejects(playTarget(slow, 1, 1000), /takes \d+ ms/);
});

test("memory that stays is a failure", async () => {
  const kept: Buffer[] = [];
  const greedy: Target = {
    ...planted,
    run: () => {
      if (kept.length < 100) kept.push(Buffer.alloc(1024 * 1024));
      return "more";
    },
  };
  await assert.rejects(playTarget(greedy, 1, 500), /keeps \d+ bytes/);
});
