/** Many requests: at a steady rate for as long as wanted, or a number of them as fast as they go. */
import { Agent } from "node:http";
import { systemClock, type Timer } from "../../../shared/base/clock.ts";
import { describeError } from "../../../shared/base/errors.ts";
import type { LoadFailure, LoadResult, Target } from "./protocol.ts";
import { exchange, get } from "./requests.ts";

const KEPT_FAILURES = 20;

/** Counts outcomes. */
class LoadTally {
  #ok = 0;
  #failed = 0;
  #longestMs = 0;
  readonly #failures: LoadFailure[] = [];
  readonly #byPod: Record<string, number> = {};

  succeed(tookMs: number, pod: string): void {
    this.#ok++;
    this.#longestMs = Math.max(this.#longestMs, tookMs);
    this.#byPod[pod] = (this.#byPod[pod] ?? 0) + 1;
  }

  fail(target: Target, thrown: unknown, startedAtMs: number): void {
    this.#failed++;
    if (this.#failures.length >= KEPT_FAILURES) return;
    this.#failures.push({
      startedAtMs,
      target: `${target.host}:${target.port}`,
      reason: describeError(thrown),
    });
  }

  result(): LoadResult {
    return {
      ok: this.#ok,
      failed: this.#failed,
      failures: this.#failures,
      longestMs: Math.round(this.#longestMs),
      byPod: this.#byPod,
    };
  }
}

export type RequestListener = (
  target: Target,
  pod: string | undefined,
  reason: string | undefined,
) => void;

/** Requests at a steady rate, round robin over the targets, however long each takes. */
export class SteadyLoad {
  readonly #tally = new LoadTally();
  readonly #timer: Timer;
  readonly #open = new Set<Promise<void>>();
  readonly #agent: Agent | undefined;
  #next = 0;

  constructor(
    targets: readonly Target[],
    { perSecond, keepAlive }: { readonly perSecond: number; readonly keepAlive: boolean },
    onRequest: RequestListener,
  ) {
    this.#agent = keepAlive ? new Agent({ keepAlive: true }) : undefined;
    this.#timer = systemClock.every(1_000 / perSecond, () => {
      const target = targets[this.#next++ % targets.length];
      if (target === undefined) return;
      const one = this.#request(target, onRequest).finally(() => this.#open.delete(one));
      this.#open.add(one);
    });
  }

  /** Starts no more requests, waits for the open ones. */
  async end(): Promise<LoadResult> {
    this.#timer.cancel();
    await Promise.all(this.#open);
    this.#agent?.destroy();
    return this.#tally.result();
  }

  async #request(target: Target, onRequest: RequestListener): Promise<void> {
    const startedAtMs = systemClock.wallMs();
    try {
      const { greeting, tookMs } = await get(target, this.#agent);
      this.#tally.succeed(tookMs, greeting.pod);
      onRequest(target, greeting.pod, undefined);
    } catch (thrown) {
      this.#tally.fail(target, thrown, startedAtMs);
      onRequest(target, undefined, describeError(thrown));
    }
  }
}

/** Opens and closes so many connections, `concurrency` at a time. */
export async function churn(
  target: Target,
  connections: number,
  concurrency: number,
): Promise<LoadResult & { readonly medianMs: number }> {
  const tally = new LoadTally();
  const tookMs: number[] = [];
  let left = connections;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const startedMs = systemClock.monotonicMs();
      const startedAtMs = systemClock.wallMs();
      try {
        await exchange(target);
        const elapsedMs = systemClock.monotonicMs() - startedMs;
        tookMs.push(elapsedMs);
        tally.succeed(elapsedMs, target.host);
      } catch (thrown) {
        tally.fail(target, thrown, startedAtMs);
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  tookMs.sort((a, b) => a - b);
  return { ...tally.result(), medianMs: tookMs[tookMs.length >> 1] ?? Number.NaN };
}
