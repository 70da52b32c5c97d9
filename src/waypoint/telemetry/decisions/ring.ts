/**
 * The last decisions about requests and connections, for `/debug/decisions`. Every refusal is kept; of what went well a
 * share. Both have room of their own, so that busy success does not push refusals out. A record keeps what was at hand; the
 * words are made when somebody asks (view.ts).
 */
import type { StreamRecord } from "../record.ts";

class Ring {
  readonly #capacity: number;
  readonly #records: StreamRecord[] = [];
  #next = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  add(record: StreamRecord): void {
    if (this.#capacity === 0) return;
    this.#records[this.#next] = record;
    this.#next = (this.#next + 1) % this.#capacity;
  }

  /** Newest first. */
  *newest(): Iterable<StreamRecord> {
    const { length } = this.#records;
    for (let back = 1; back <= length; back++) {
      const record = this.#records[(this.#next - back + length) % length];
      if (record !== undefined) yield record;
    }
  }
}

export interface DecisionRingOptions {
  readonly refusals: number;
  readonly passed: number;
  /** Of what went well every n-th is kept. */
  readonly passedEvery: number;
}

export const defaultRing: DecisionRingOptions = { refusals: 256, passed: 64, passedEvery: 16 };

/** Outcomes that end a connection before it goes anywhere. */
const refusing: ReadonlySet<string> = new Set(["denied", "failed", "internal-error"]);

/** Answered by us instead of the upstream, for a reason that configuration or state gives. */
export function isRefusal(record: StreamRecord): boolean {
  const { flags, http, details, upstream, decisions } = record;
  if (flags.length > 0) return true;
  // A connection that a policy closes has neither a status nor, as in the reference, a flag.
  if (http === undefined)
    return upstream === undefined && decisions.some(({ outcome }) => refusing.has(outcome));
  return http.status >= 400 && details !== "via_upstream" && upstream?.serviceTimeMs === undefined;
}

export class DecisionRing {
  readonly #refusals: Ring;
  readonly #passed: Ring;
  readonly #passedEvery: number;
  #untilNext = 0;

  constructor({ refusals, passed, passedEvery }: DecisionRingOptions = defaultRing) {
    this.#refusals = new Ring(refusals);
    this.#passed = new Ring(passed);
    this.#passedEvery = Math.max(1, passedEvery);
  }

  add(record: StreamRecord): void {
    if (isRefusal(record)) {
      this.#refusals.add(record);
      return;
    }
    if (this.#untilNext-- > 0) return;
    this.#untilNext = this.#passedEvery - 1;
    this.#passed.add(record);
  }

  /** The newest `count` of both, or of refusals only; newest first. */
  latest(count: number, refusalsOnly = false): StreamRecord[] {
    const records = [...this.#refusals.newest(), ...(refusalsOnly ? [] : this.#passed.newest())];
    return records.sort((a, b) => endOf(b) - endOf(a)).slice(0, count);
  }
}

function endOf({ startWallMs, durationMs }: StreamRecord): number {
  return startWallMs + durationMs;
}
