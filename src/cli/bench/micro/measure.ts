/** Time and memory of one function: how long a call takes, and how many octets of the heap it leaves to the collector. */
import { systemClock } from "../../../shared/base/clock.ts";
import { median } from "../figures.ts";

/** Does the same so many times. What it returns keeps the work from being left out. */
export type Work = (times: number) => number;

export interface MicroCase {
  readonly subject: string;
  readonly name: string;
  /** Makes what is needed. */
  readonly prepare: () => Work;
}

/** Cases of one subject, by name. */
export function casesOf(
  subject: string,
  cases: readonly (readonly [name: string, prepare: () => Work])[],
): readonly MicroCase[] {
  return cases.map(([name, prepare]) => ({ subject, name, prepare }));
}

export interface MicroFigure {
  readonly subject: string;
  readonly name: string;
  /** One a repetition, in order of size. */
  readonly nsPerOperation: readonly number[];
  readonly bytesPerOperation: number;
}

export interface MicroEffort {
  readonly repetitions: number;
  readonly repetitionMs: number;
}

/** Few enough that most batches end without a collection, however small the young generation. */
const BATCH = 64;
const BATCHES = 61;

/** Where results go, so that no call is without effect. */
const sink = { value: 0 };

function timeMs(work: Work, times: number): number {
  const startedMs = systemClock.monotonicMs();
  sink.value += work(times);
  return systemClock.monotonicMs() - startedMs;
}

export function measure(subject: MicroCase, effort: MicroEffort): MicroFigure {
  const work = subject.prepare();
  const times = timesFor(work, effort.repetitionMs);
  timeMs(work, times);
  const nsPerOperation = Array.from(
    { length: effort.repetitions },
    () => (timeMs(work, times) * 1e6) / times,
  ).sort((a, b) => a - b);
  return {
    subject: subject.subject,
    name: subject.name,
    nsPerOperation,
    bytesPerOperation: bytesPerOperation(work),
  };
}

/** How many calls fill this time. */
function timesFor(work: Work, wantedMs: number): number {
  // The first call may build an index that all others use.
  timeMs(work, 1);
  for (let times = 1; ; times *= 2) {
    const tookMs = timeMs(work, times);
    if (tookMs > wantedMs / 4) return Math.max(1, Math.round((times * wantedMs) / tookMs));
  }
}

/** The heap before and after a few calls. Where a collection came between, it has shrunk, and the batch says nothing. */
function bytesPerOperation(work: Work): number {
  const grown = (calls: number): number[] => {
    const found: number[] = [];
    for (let batch = 0; batch < BATCHES; batch++) {
      const before = process.memoryUsage().heapUsed;
      sink.value += work(calls);
      const bytes = process.memoryUsage().heapUsed - before;
      if (bytes >= 0) found.push(bytes);
    }
    return found;
  };
  // Looking at the heap takes some of it.
  const looking = median(grown(0));
  return Math.max(0, (median(grown(BATCH)) - looking) / BATCH);
}
