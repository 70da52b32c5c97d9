/**
 * Time as a seam: nothing outside this file touches timers or Date, so every time-dependent rule can be tested with a
 * clock that stands still.
 */

/** A running timer; cancel is idempotent. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since the Unix epoch, with a fraction down to microseconds. For certificates and log lines. */
  wallMs(): number;
  /** Milliseconds that never run backwards. For durations and deadlines. */
  monotonicMs(): number;
  /** Runs `fire` once after `delayMs` (0 or more). Does not keep the process alive. */
  after(delayMs: number, fire: () => void): Timer;
  /** Runs `fire` every `intervalMs` until cancelled. Does not keep the process alive. */
  every(intervalMs: number, fire: () => void): Timer;
  /** Resolves after `delayMs`, or rejects with the signal's reason as soon as it aborts. Keeps the process alive. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** setTimeout fires at once for delays above this; longer waits are chained. */
const MAX_TIMER_MS = 2 ** 31 - 1;

function after(delayMs: number, fire: () => void): Timer {
  let handle: NodeJS.Timeout;
  const arm = (leftMs: number): void => {
    const stepMs = Math.min(leftMs, MAX_TIMER_MS);
    handle = setTimeout(() => (leftMs > stepMs ? arm(leftMs - stepMs) : fire()), stepMs);
    handle.unref();
  };
  arm(Math.max(0, delayMs));
  return { cancel: () => clearTimeout(handle) };
}

function sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = (): void => {
      clearTimeout(handle);
      reject(signal?.reason);
    };
    const handle = setTimeout(
      () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      },
      Math.min(Math.max(0, delayMs), MAX_TIMER_MS),
    );
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** The clock of the machine. */
export const systemClock: Clock = {
  wallMs: () => performance.timeOrigin + performance.now(),
  monotonicMs: () => performance.now(),
  after,
  every: (intervalMs, fire) => {
    const handle = setInterval(fire, intervalMs);
    handle.unref();
    return { cancel: () => clearInterval(handle) };
  },
  sleep,
};
