import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  forgetOne,
  type Lane,
  newBoard,
  newTotals,
  SessionBoard,
} from "../../../../src/ztunnel/threads/session-board.ts";

interface Boards {
  readonly pod: SharedArrayBuffer;
  readonly all: SharedArrayBuffer;
  readonly seenBy: readonly SessionBoard[];
}

function boards(threads: number, all = newTotals(threads), lane: Lane = "session"): Boards {
  const pod = newBoard(threads);
  const seenBy = Array.from(
    { length: threads },
    (_, own) => new SessionBoard({ pod, all }, own, lane),
  );
  return { pod, all, seenBy };
}

/** Accepted by `own`; resolves where it ends up, which has taken it. */
function accept({ seenBy }: Boards, own: number): number {
  const thread = seenBy[own]?.place();
  if (thread === undefined) return own;
  seenBy[thread]?.arrived();
  return thread;
}

test("two connections that one thread accepts are served by two", () => {
  const pod = boards(2);
  pod.seenBy[0]?.open();
  assert.deepEqual([accept(pod, 0), accept(pod, 0)], [0, 1]);
  // Equal: it stays where it is.
  assert.equal(accept(pod, 1), 1);
  assert.equal(accept(pod, 1), 0);
});

test("where a pod has as many on each, the other pods decide", () => {
  const one = boards(2);
  one.seenBy[0]?.open();
  assert.equal(accept(one, 0), 0);
  const other = boards(2, one.all);
  other.seenBy[0]?.open();
  assert.equal(accept(other, 0), 1);
});

test("of the application's connections one is passed on where the difference is two, and a quarter", () => {
  const pod = boards(2, newTotals(2), "captured");
  pod.seenBy[0]?.open();
  const served = [accept(pod, 0), accept(pod, 0), accept(pod, 0), accept(pod, 0), accept(pod, 0)];
  assert.deepEqual(served, [0, 0, 1, 0, 1]);
  while (served.length < 100) served.push(accept(pod, 0));
  const here = served.filter((thread) => thread === 0).length;
  assert.ok(here > 52 && here < 60, `${here} of 100 stayed`);
  // The other one has fewer, and what comes there stays.
  assert.equal(accept(pod, 1), 1);
});

test("the lanes of a pod know nothing of one another", () => {
  const pod = newBoard(2);
  const all = newTotals(2);
  const captured = new SessionBoard({ pod, all }, 0, "captured");
  const sessions = new SessionBoard({ pod, all }, 0, "session");
  captured.open();
  sessions.open();
  assert.deepEqual(
    [captured.place(), captured.place(), captured.place()],
    [undefined, undefined, 1],
  );
  assert.deepEqual([sessions.place(), sessions.place()], [undefined, 1]);
  assert.deepEqual([...new Int32Array(all)], [1, 1]);
});

test("a closed board moves nothing, and tells what is still on its way", () => {
  const pod = boards(2);
  assert.deepEqual([accept(pod, 0), accept(pod, 0)], [0, 0]);
  const [first, second] = pod.seenBy;
  assert.ok(first && second);
  first.open();
  assert.equal(first.place(), 1);
  second.close();
  assert.equal(second.onTheWayHere, 1);
  assert.equal(first.place(), undefined);
  second.arrived();
  assert.equal(second.onTheWayHere, 0);
});

test("what cannot be passed on counts where it stays", () => {
  const pod = boards(2);
  const [first, second] = pod.seenBy;
  assert.ok(first && second);
  first.open();
  first.place();
  assert.equal(first.place(), 1);
  first.keep(1);
  assert.equal(second.onTheWayHere, 0);
  assert.deepEqual([...new Int32Array(pod.all)], [2, 0]);
});

test("property: on an open board no thread has two more than another when nothing ends, and all that ended leaves nothing", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.array(fc.nat(5), { maxLength: 60 }),
      (threads, accepting) => {
        const pod = boards(threads);
        pod.seenBy[0]?.open();
        const served = accepting.map((own) => accept(pod, own % threads));
        const counts = pod.seenBy.map((_, own) => served.filter((thread) => thread === own).length);
        assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, counts.join(" "));
        for (const thread of served) pod.seenBy[thread]?.ended();
        assert.ok(new Int32Array(pod.all).every((count) => count === 0));
        for (const own of accepting) forgetOne(pod.all, accept(pod, own % threads));
        assert.ok(new Int32Array(pod.all).every((count) => count === 0));
      },
    ),
  );
});
