/** The state of a request's retries: how many are left, what they may do, and the wait before the next. */
import type { Clock, Timer } from "../../shared/base/clock.ts";
import type { ResponseHead } from "../http/message.ts";
import type { Cluster, Endpoint, RetryPermit } from "../upstream/upstream.ts";
import type { Failure } from "./resets.ts";
import { backoffMs, type RetryRules, retriesAnswer, retriesFailure } from "./retry-policy.ts";

/** "spent": allowed by the rules, but none is left (flag URX). "overflow": the breaker says no (UO). */
export type RetryVerdict = "retry" | "no" | "spent" | "overflow";

export class Retries {
  readonly #rules: RetryRules;
  readonly #cluster: Cluster;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #tried: Endpoint[] = [];
  #done = 0;
  #permit: RetryPermit | undefined;
  #wait: Timer | undefined;

  constructor(rules: RetryRules, cluster: Cluster, clock: Clock, random: () => number) {
    this.#rules = rules;
    this.#cluster = cluster;
    this.#clock = clock;
    this.#random = random;
  }

  /** Endpoints to avoid. */
  get tried(): readonly Endpoint[] {
    return this.#tried;
  }

  afterAnswer(head: ResponseHead): RetryVerdict {
    return this.#decide(retriesAnswer(this.#rules, head));
  }

  afterFailure(failure: Failure, begun: boolean): RetryVerdict {
    return this.#decide(retriesFailure(this.#rules, failure, begun));
  }

  /** Waits its time, then `again`. */
  schedule(tried: Endpoint, again: () => void): void {
    if (this.#rules.policy?.avoidPreviousHosts) this.#tried.push(tried);
    const delayMs = backoffMs(this.#rules, this.#done - 1, this.#random());
    this.#wait = this.#clock.after(delayMs, again);
  }

  /** No retry follows, whatever happens. */
  stop(): void {
    this.#wait?.cancel();
    this.#release();
  }

  #decide(would: boolean): RetryVerdict {
    this.#release();
    if (!would) return "no";
    if (this.#done >= this.#rules.retries) return "spent";
    this.#done++;
    this.#permit = this.#cluster.tryStartRetry();
    return this.#permit === undefined ? "overflow" : "retry";
  }

  /** A retry counts against the breaker until its own attempt has ended. */
  #release(): void {
    const permit = this.#permit;
    this.#permit = undefined;
    permit?.release();
  }
}
