/** The listener's deadlines for one request: idleness, the request's arrival, the whole stream. */
import type { Clock, Timer } from "../../shared/base/clock.ts";
import type { ResponseFlag } from "../http/message.ts";
import type { HttpSettings } from "../model/chain.ts";
import type { Route } from "../model/route.ts";
import { IdleTimer } from "./idle-timer.ts";

export interface TimedRequest {
  readonly clock: Clock;
  timedOut(body: string, details: string, flag: ResponseFlag | undefined): void;
}

export class Deadlines {
  readonly #request: TimedRequest;
  #idle: IdleTimer | undefined;
  readonly #arrival: Timer | undefined;
  readonly #whole: Timer | undefined;

  /** Costs nothing while nothing is switched on; a route may bring an idle timeout of its own. */
  constructor(request: TimedRequest, settings: HttpSettings) {
    this.#request = request;
    const { clock } = request;
    const { requestTimeoutMs, maxStreamDurationMs, streamIdleTimeoutMs } = settings;
    if (streamIdleTimeoutMs > 0) this.#setIdle(streamIdleTimeoutMs);
    if (requestTimeoutMs > 0)
      this.#arrival = clock.after(requestTimeoutMs, () =>
        request.timedOut("request timeout", "request_overall_timeout", undefined),
      );
    if (maxStreamDurationMs > 0)
      this.#whole = clock.after(maxStreamDurationMs, () =>
        request.timedOut("downstream duration timeout", "max_duration_timeout", undefined),
      );
  }

  routeKnown(route: Route | undefined): void {
    if (route?.action.kind !== "forward") return;
    const { idleTimeoutMs } = route.action.forward;
    if (idleTimeoutMs !== undefined) this.#setIdle(idleTimeoutMs);
  }

  /** Something moved. */
  touch(): void {
    this.#idle?.touch();
  }

  requestEnded(): void {
    this.#arrival?.cancel();
  }

  stop(): void {
    this.#idle?.stop();
    this.#arrival?.cancel();
    this.#whole?.cancel();
  }

  #setIdle(idleMs: number): void {
    this.#idle?.stop();
    const request = this.#request;
    this.#idle =
      idleMs === 0
        ? undefined
        : new IdleTimer(request.clock, idleMs, () =>
            request.timedOut("stream timeout", "stream_idle_timeout", "SI"),
          );
  }
}
