/** A deadline that moves with each sign of life. Reading a clock is cheaper than setting a timer, so only the former happens often. */
import type { Clock, Timer } from "../../shared/base/clock.ts";

export class IdleTimer {
  readonly #clock: Clock;
  readonly #idleMs: number;
  readonly #fire: () => void;
  #lastMs: number;
  #timer: Timer;

  constructor(clock: Clock, idleMs: number, fire: () => void) {
    this.#clock = clock;
    this.#idleMs = idleMs;
    this.#fire = fire;
    this.#lastMs = clock.monotonicMs();
    this.#timer = clock.after(idleMs, this.#look);
  }

  touch(): void {
    this.#lastMs = this.#clock.monotonicMs();
  }

  stop(): void {
    this.#timer.cancel();
  }

  readonly #look = (): void => {
    const leftMs = this.#idleMs - (this.#clock.monotonicMs() - this.#lastMs);
    if (leftMs > 0) this.#timer = this.#clock.after(leftMs, this.#look);
    else this.#fire();
  };
}
