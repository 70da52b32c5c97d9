/** The deadlines of a connection from a client: idleness, slow heads, age, and the end of a drain. */
import type { Clock, Timer } from "../../../shared/base/clock.ts";

export interface TimerSettings {
  /** 0 switches each off. */
  readonly connectionIdleTimeoutMs: number;
  readonly requestHeadersTimeoutMs: number;
  readonly maxConnectionDurationMs: number;
  readonly drainTimeoutMs: number;
}

export interface TimedConnection {
  readonly idle: boolean;
  headTimeout(): void;
  /** Closes if idle. */
  leave(): void;
}

export class ServerTimers {
  readonly #clock: Clock;
  readonly #settings: TimerSettings;
  readonly #connection: TimedConnection;
  #idleSinceMs = 0;
  #idle: Timer | undefined;
  #head: Timer | undefined;
  #age: Timer | undefined;
  #draining = false;

  constructor(clock: Clock, settings: TimerSettings, connection: TimedConnection) {
    this.#clock = clock;
    this.#settings = settings;
    this.#connection = connection;
  }

  get draining(): boolean {
    return this.#draining;
  }

  start(): void {
    const { connectionIdleTimeoutMs, maxConnectionDurationMs } = this.#settings;
    if (connectionIdleTimeoutMs > 0) {
      this.#idleSinceMs = this.#clock.monotonicMs();
      this.#armIdle(connectionIdleTimeoutMs);
    }
    if (maxConnectionDurationMs > 0)
      this.#age = this.#clock.after(maxConnectionDurationMs, () => this.drain());
  }

  stop(): void {
    this.#idle?.cancel();
    this.#head?.cancel();
    this.#age?.cancel();
  }

  /** An idle client may be about to send: it is told with its next answer, or left when the time is up. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#age?.cancel();
    this.#age = this.#clock.after(this.#settings.drainTimeoutMs, () => this.#connection.leave());
  }

  /** A request has ended. The timer is left alone: a clock is read faster than a timer is set. */
  nowIdle(): void {
    if (this.#settings.connectionIdleTimeoutMs > 0) this.#idleSinceMs = this.#clock.monotonicMs();
  }

  headBegun(): void {
    const { requestHeadersTimeoutMs } = this.#settings;
    if (requestHeadersTimeoutMs > 0)
      this.#head ??= this.#clock.after(requestHeadersTimeoutMs, () =>
        this.#connection.headTimeout(),
      );
  }

  headRead(): void {
    this.#head?.cancel();
    this.#head = undefined;
  }

  #armIdle(delayMs: number): void {
    const limitMs = this.#settings.connectionIdleTimeoutMs;
    this.#idle = this.#clock.after(delayMs, () => {
      const idleMs = this.#clock.monotonicMs() - this.#idleSinceMs;
      if (!this.#connection.idle) this.#armIdle(limitMs);
      else if (idleMs < limitMs) this.#armIdle(limitMs - idleMs);
      else this.#connection.leave();
    });
  }
}
