/** A clock that stands still until the test moves it. */
import { setImmediate } from "node:timers/promises";
import type { Clock, Timer } from "../../src/shared/base/clock.ts";

interface Alarm {
  atMs: number;
  readonly fire: () => void;
}

export class FakeClock implements Clock {
  #wallMs: number;
  #monotonicMs = 0;
  readonly #alarms = new Set<Alarm>();

  constructor(wallMs = 1_790_000_000_000) {
    this.#wallMs = wallMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    const alarm: Alarm = { atMs: this.#monotonicMs + Math.max(0, delayMs), fire };
    this.#alarms.add(alarm);
    return { cancel: () => this.#alarms.delete(alarm) };
  }

  every(intervalMs: number, fire: () => void): Timer {
    let timer: Timer;
    const again = (): void => {
      timer = this.after(intervalMs, again);
      fire();
    };
    timer = this.after(intervalMs, again);
    return { cancel: () => timer.cancel() };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = (): void => {
        timer.cancel();
        reject(signal?.reason);
      };
      const timer = this.after(delayMs, () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      });
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#alarms.size;
  }

  /** How long until the next timer fires; undefined when none waits. */
  nextMs(): number | undefined {
    const next = this.#next();
    return next === undefined ? undefined : next.atMs - this.#monotonicMs;
  }

  /** Moves time on, fires what is due in order, and lets promises settle after each. */
  async advance(byMs: number): Promise<void> {
    const endMs = this.#monotonicMs + byMs;
    await setImmediate();
    for (let next = this.#next(); next !== undefined && next.atMs <= endMs; next = this.#next()) {
      this.#move(next.atMs);
      this.#alarms.delete(next);
      next.fire();
      await setImmediate();
    }
    this.#move(endMs);
    await setImmediate();
  }

  #move(toMs: number): void {
    this.#wallMs += toMs - this.#monotonicMs;
    this.#monotonicMs = toMs;
  }

  #next(): Alarm | undefined {
    let first: Alarm | undefined;
    for (const alarm of this.#alarms)
      if (first === undefined || alarm.atMs < first.atMs) first = alarm;
    return first;
  }
}
