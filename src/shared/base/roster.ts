/**
 * A set for things that come and go by the thousand. A Set or Map that lives long and changes often keeps what was removed
 * from it: V8 gives it a new table every few changes, the old table points to the new one and to the members of its time,
 * and once one old table has been moved out of the young generation, all later ones follow it with everything their members
 * refer to, until the next full collection. An array has no such chain.
 */

/** A member knows its place, so that leaving costs no search. Only the roster writes it. */
export interface RosterMember {
  /** -1 while it is in no roster. */
  rosterPlace: number;
}

export class Roster<T extends RosterMember> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  /** A member can be in one roster at a time. */
  add(member: T): void {
    if (member.rosterPlace >= 0) return;
    member.rosterPlace = this.#members.length;
    this.#members.push(member);
  }

  delete(member: T): void {
    const place = member.rosterPlace;
    if (this.#members[place] !== member) return;
    member.rosterPlace = -1;
    const last = this.#members.pop();
    if (last === undefined || last === member) return;
    this.#members[place] = last;
    last.rosterPlace = place;
  }

  /** As they are now, in no particular order. */
  toArray(): T[] {
    return [...this.#members];
  }
}
