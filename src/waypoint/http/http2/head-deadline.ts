/**
 * How long one head may take to arrive (Envoy's request_headers_timeout). A header block that never ends holds up everything
 * behind it, so the whole connection ends with it.
 */
import type { Clock, Timer } from "../../../shared/base/clock.ts";

export class HeadDeadline {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #expired: () => void;
  #timer: Timer | undefined;

  constructor(clock: Clock, timeoutMs: number, expired: () => void) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#expired = expired;
  }

  /** Whether a head is under way at the end of a read. */
  watch(isUnderWay: boolean): void {
    if (isUnderWay) {
      this.#timer ??= this.#clock.after(this.#timeoutMs, this.#expired);
      return;
    }
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
