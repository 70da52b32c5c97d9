import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ClosedStreams } from "../../../../src/shared/hbone/session/closed-streams.ts";
import { StreamTable } from "../../../../src/shared/hbone/session/stream-table.ts";

test("a stream table holds what a map would hold, through growth, collisions and removal", () => {
  const ids = fc.oneof(fc.integer({ min: 1, max: 80 }), fc.integer({ min: 1, max: 2 ** 31 - 1 }));
  const moves = fc.array(fc.tuple(fc.boolean(), ids), { maxLength: 300, size: "max" });
  fc.assert(
    fc.property(moves, (list) => {
      const table = new StreamTable<number>();
      const model = new Map<number, number>();
      list.forEach(([comes, id], turn) => {
        if (comes) {
          table.set(id, turn);
          model.set(id, turn);
        } else {
          assert.equal(table.delete(id), model.delete(id));
        }
        assert.equal(table.size, model.size);
        for (const [, asked] of list) {
          assert.equal(table.get(asked), model.get(asked));
          assert.equal(table.has(asked), model.has(asked));
        }
      });
      assert.deepEqual(table.values().sort(), [...model.values()].sort());
    }),
    { numRuns: 60 },
  );
});

test("stream 0 is never there, and a cleared table is empty", () => {
  const table = new StreamTable<string>();
  table.set(3, "three");
  assert.equal(table.get(0), undefined);
  assert.equal(table.has(0), false);
  table.clear();
  assert.deepEqual([table.size, table.get(3), table.values()], [0, undefined, []]);
});

test("the last 256 closed streams are remembered, with what was said last", () => {
  const closed = new ClosedStreams();
  closed.add(1, "ended");
  closed.add(3, "ended");
  closed.add(3, "reset-by-us");
  assert.equal(closed.get(0), undefined);
  assert.equal(closed.get(1), "ended");
  assert.equal(closed.get(3), "reset-by-us");
  for (let id = 5; id < 5 + 2 * 254; id += 2) closed.add(id, "ended");
  assert.equal(closed.get(1), "ended");
  closed.add(5 + 2 * 254, "ended");
  assert.equal(closed.get(1), undefined);
  assert.equal(closed.get(3), "reset-by-us");
});
