import assert from "node:assert/strict";
import { it } from "node:test";
import {
  isAtLeast,
  nextMove,
  type Rung,
  rungBelow,
  rungs,
} from "../../../../src/nodeagent/enroll/ladder.ts";

function walk(from: Rung, wanted: boolean): string[] {
  const path: string[] = [];
  let rung = from;
  for (;;) {
    const move = nextMove(rung, wanted);
    if (move.kind === "settled") return path;
    rung = move.kind === "up" ? move.to : rungBelow(move.from);
    path.push(rung);
  }
}

it("goes up rung by rung and down the same way, from wherever the pod stands", () => {
  rungs.forEach((rung, at) => {
    assert.deepEqual(walk(rung, true), rungs.slice(at + 1));
    assert.deepEqual(walk(rung, false), rungs.slice(0, at).reverse());
  });
});

it("compares rungs", () => {
  assert.equal(isAtLeast("redirected", "announced"), true);
  assert.equal(isAtLeast("announced", "announced"), true);
  assert.equal(isAtLeast("opened", "announced"), false);
});
