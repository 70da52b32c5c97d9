/**
 * Circuit breakers of one cluster: how much may be under way at once. Exceeding one is not a failure of an endpoint; the
 * request is refused with flag UO before anything goes out.
 */
import type { BreakerLimits } from "../../model/cluster.ts";

/** Something that is counted from its start to its end. */
export class Gauge {
  #count = 0;

  get count(): number {
    return this.#count;
  }

  take(): void {
    this.#count++;
  }

  give(): void {
    this.#count--;
  }
}

export class Breakers {
  readonly connections = new Gauge();
  /** Requests that wait for a connection. */
  readonly pending = new Gauge();
  readonly requests = new Gauge();
  readonly retries = new Gauge();
  limits: BreakerLimits;

  constructor(limits: BreakerLimits) {
    this.limits = limits;
  }

  get mayConnect(): boolean {
    return this.connections.count < this.limits.maxConnections;
  }

  get mayWait(): boolean {
    return this.pending.count < this.limits.maxPendingRequests;
  }

  get mayRequest(): boolean {
    return this.requests.count < this.limits.maxRequests;
  }

  get mayRetry(): boolean {
    return this.retries.count < this.maxRetries;
  }

  /** A budget is a share of what is under way, so that retries cannot multiply the load of a cluster in trouble. */
  get maxRetries(): number {
    const { retryBudget, maxRetries } = this.limits;
    if (retryBudget === undefined) return maxRetries;
    const underWay = this.requests.count + this.pending.count;
    const share = Math.floor((underWay * retryBudget.percent) / 100);
    return Math.max(share, retryBudget.minConcurrency);
  }
}
