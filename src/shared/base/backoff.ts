/** Exponential backoff as a pure step function: the caller owns the clock, the randomness and the loop. */

export interface BackoffOptions {
  readonly initialMs: number;
  readonly maxMs: number;
  /** Factor from one delay to the next. Default 2. */
  readonly factor?: number;
  /** Share of the delay that is spread at random around it, 0 to 1. Default 0. */
  readonly jitter?: number;
}

/** The delay after `previousMs`; undefined starts over at `initialMs`. */
export function nextBackoffMs(options: BackoffOptions, previousMs: number | undefined): number {
  if (previousMs === undefined) return options.initialMs;
  return Math.min(options.maxMs, previousMs * (options.factor ?? 2));
}

/** Spreads a delay by the configured jitter; `random` yields 0 (inclusive) to 1 (exclusive). */
export function jitteredMs(options: BackoffOptions, delayMs: number, random: () => number): number {
  const spread = (options.jitter ?? 0) * delayMs;
  return delayMs - spread + 2 * spread * random();
}
