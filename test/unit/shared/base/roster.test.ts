import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Roster } from "../../../../src/shared/base/roster.ts";

test("a roster holds what a set would hold", () => {
  const moves = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 9 })));
  fc.assert(
    fc.property(moves, (list) => {
      const members = Array.from({ length: 10 }, () => ({ rosterPlace: -1 }));
      const roster = new Roster<{ rosterPlace: number }>();
      const model = new Set<{ rosterPlace: number }>();
      for (const [comes, index] of list) {
        const member = members[index];
        assert.ok(member !== undefined);
        if (comes) {
          roster.add(member);
          model.add(member);
        } else {
          roster.delete(member);
          model.delete(member);
        }
        assert.equal(roster.size, model.size);
        assert.deepEqual(new Set(roster.toArray()), model);
      }
    }),
  );
});
