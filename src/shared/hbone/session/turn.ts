/**
 * Work that is put off to the end of the current turn of the event loop, so that what arrives in many small pieces within
 * one turn leaves in one write. One immediate serves all sessions.
 */

export interface TurnWork {
  atTurnEnd(): void;
}

let waiting: TurnWork[] = [];

/** Calls back once after this turn's reads. The caller sees to it that it asks only once a turn. */
export function atTurnEnd(work: TurnWork): void {
  if (waiting.push(work) === 1) setImmediate(run);
}

function run(): void {
  const list = waiting;
  waiting = [];
  for (const work of list) work.atTurnEnd();
}
