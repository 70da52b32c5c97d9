/**
 * Work that is put off to the end of the current turn of the event loop, so that what arrives in many small pieces within
 * one turn leaves in one write. One immediate serves everybody.
 */

export interface TurnWork {
  atTurnEnd(): void;
}

let waiting: TurnWork[] = [];
/** Whoever has begun the turn ends it. */
let hasOwner = false;

/** Calls back once after this turn's reads. The caller sees to it that it asks only once a turn. */
export function atTurnEnd(work: TurnWork): void {
  if (waiting.push(work) === 1 && !hasOwner) setImmediate(endTurn);
}

/** For whoever does this turn's reads, and calls `endTurn` after them: no immediate is needed. */
export function beginTurn(): void {
  hasOwner = true;
}

/** For whoever knows that this turn's reads are done: what was put off is done now, not in a turn of its own. */
export function endTurn(): void {
  hasOwner = false;
  if (waiting.length === 0) return;
  const list = waiting;
  waiting = [];
  for (const work of list) work.atTurnEnd();
}
