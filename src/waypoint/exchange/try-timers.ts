/** The deadlines of one attempt: until its answer begins, and between its signs of life. */
import type { Clock, Timer } from "../../shared/base/clock.ts";
import { IdleTimer } from "./idle-timer.ts";
import type { Timeouts } from "./timeouts.ts";

export class TryTimers {
  #whole: Timer | undefined;
  #idle: IdleTimer | undefined;

  /** From here on for the attempt that is under way. */
  arm(
    clock: Clock,
    { perTryMs, perTryIdleMs }: Timeouts,
    late: () => void,
    idle: () => void,
  ): void {
    this.stop();
    if (perTryMs > 0) this.#whole = clock.after(perTryMs, late);
    if (perTryIdleMs > 0) this.#idle = new IdleTimer(clock, perTryIdleMs, idle);
  }

  touch(): void {
    this.#idle?.touch();
  }

  stop(): void {
    this.#whole?.cancel();
    this.#idle?.stop();
    this.#idle = undefined;
  }
}
