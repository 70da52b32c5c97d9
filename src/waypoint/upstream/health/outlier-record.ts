/** What outlier detection remembers of one endpoint, and which rule an outcome makes fire. Pure. */
import type { OutlierConfig } from "../../model/cluster.ts";

/** What an attempt ended with, in the terms of outlier detection. */
export type OutlierResult =
  /** The endpoint answered, gRPC statuses as their HTTP equivalents. */
  | { readonly kind: "answer"; readonly status: number }
  | { readonly kind: "connected" }
  /** It could not be reached, or broke off. `status`: what Envoy counts it as without splitting. */
  | { readonly kind: "local-failure"; readonly status: number };

export type OutlierRule =
  | "consecutive-5xx"
  | "consecutive-gateway-failure"
  | "consecutive-local-origin-failure"
  | "success-rate"
  | "success-rate-local-origin"
  | "failure-percentage"
  | "failure-percentage-local-origin";

const nothing: readonly OutlierRule[] = [];

/** Successes and attempts since the last look. */
export interface Rate {
  successes: number;
  total: number;
}

export class OutlierRecord {
  readonly external: Rate = { successes: 0, total: 0 };
  readonly local: Rate = { successes: 0, total: 0 };
  #in5xx = 0;
  #inGateway = 0;
  #inLocal = 0;
  /** Undefined: it takes part. */
  ejectedAtMs: number | undefined;
  jitterMs = 0;
  /** How many times longer than the base the next ejection is; shrinks while all is well. */
  backoff = 0;
  ejections = 0;

  /** Counts the result; the rules whose number is reached fire, in this order. */
  note(result: OutlierResult, config: OutlierConfig): readonly OutlierRule[] {
    if (result.kind === "answer") return this.#noteAnswer(result.status, config);
    if (config.splitLocalOrigin) return this.#noteLocal(result.kind === "connected", config);
    // A connection alone says nothing good; the answer on it will.
    return result.kind === "connected" ? nothing : this.#noteAnswer(result.status, config);
  }

  forget5xx(): void {
    this.#in5xx = 0;
  }

  forgetGateway(): void {
    this.#inGateway = 0;
  }

  forgetLocal(): void {
    this.#inLocal = 0;
  }

  /** A new life after an ejection. */
  forgetAll(): void {
    this.#in5xx = 0;
    this.#inGateway = 0;
    this.#inLocal = 0;
  }

  /** Starts to count rates anew. */
  nextInterval(): void {
    for (const rate of [this.external, this.local]) {
      rate.successes = 0;
      rate.total = 0;
    }
  }

  #noteAnswer(status: number, config: OutlierConfig): readonly OutlierRule[] {
    this.external.total++;
    if (status < 500) {
      this.external.successes++;
      this.#in5xx = 0;
      this.#inGateway = 0;
      return nothing;
    }
    const fired: OutlierRule[] = [];
    if (status >= 502 && status <= 504) {
      this.#inGateway++;
      if (this.#inGateway === config.consecutiveGateway.threshold)
        fired.push("consecutive-gateway-failure");
    } else this.#inGateway = 0;
    this.#in5xx++;
    if (this.#in5xx === config.consecutive5xx.threshold) fired.push("consecutive-5xx");
    return fired;
  }

  #noteLocal(isGood: boolean, config: OutlierConfig): readonly OutlierRule[] {
    this.local.total++;
    if (isGood) {
      this.local.successes++;
      this.#inLocal = 0;
      return nothing;
    }
    this.#inLocal++;
    return this.#inLocal === config.consecutiveLocalOrigin.threshold
      ? ["consecutive-local-origin-failure"]
      : nothing;
  }
}
