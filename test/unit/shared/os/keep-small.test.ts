import assert from "node:assert/strict";
import { test } from "node:test";
import { trimAllocator } from "../../../../src/shared/os/allocator.ts";
import { keepSmall } from "../../../../src/shared/os/keep-small.ts";
import { FakeClock } from "../../../support/clock.ts";
import { rememberingLog } from "../../../support/log.ts";

test("the allocator can be trimmed again and again", () => {
  trimAllocator();
  trimAllocator();
});

test("pages of the start are released once, and nothing goes on after the stop", async () => {
  const clock = new FakeClock();
  const lines: string[] = [];
  const stop = keepSmall(clock, rememberingLog(lines));
  await clock.advance(25_000);
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /released the pages of the start/);
  assert.equal(clock.pending, 1);
  stop();
  assert.equal(clock.pending, 0);
});
