/**
 * How much of what costs us work and brings nothing a peer may send. Each kind has a bucket that refills with time; an
 * empty bucket ends the session with ENHANCE_YOUR_CALM. Resets are counted only while a request waits for its answer, or
 * when we had to reset the stream for a mistake (CVE-2023-44487, CVE-2025-8671): resets of open tunnels are ordinary life,
 * and a session must survive thousands of them. A request that is reset early also keeps its place among the concurrent
 * streams until its handler has finished, so the work under way stays bounded whatever the rate.
 */
import type { Clock } from "../../base/clock.ts";
import { ConnectionError, errorCode } from "./errors.ts";

interface Allowance {
  readonly burst: number;
  readonly perSecond: number;
}

const allowances = {
  settings: { burst: 100, perSecond: 10 },
  ping: { burst: 1000, perSecond: 100 },
  "early reset": { burst: 5000, perSecond: 500 },
  "empty DATA": { burst: 1000, perSecond: 100 },
  "ignored frame": { burst: 5000, perSecond: 500 },
} as const satisfies Record<string, Allowance>;

export type FloodKind = keyof typeof allowances;

interface Bucket {
  tokens: number;
  filledAtMs: number;
}

export class FloodGuard {
  readonly #clock: Clock;
  readonly #buckets = new Map<FloodKind, Bucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Counts one; throws ConnectionError ENHANCE_YOUR_CALM when there are too many. */
  count(kind: FloodKind): void {
    const { burst, perSecond } = allowances[kind];
    const nowMs = this.#clock.monotonicMs();
    let bucket = this.#buckets.get(kind);
    if (bucket === undefined) {
      bucket = { tokens: burst, filledAtMs: nowMs };
      this.#buckets.set(kind, bucket);
    }
    const refill = ((nowMs - bucket.filledAtMs) / 1000) * perSecond;
    bucket.tokens = Math.min(burst, bucket.tokens + refill) - 1;
    bucket.filledAtMs = nowMs;
    if (bucket.tokens < 0)
      throw new ConnectionError(errorCode.enhanceYourCalm, `too many: ${kind}`);
  }
}
