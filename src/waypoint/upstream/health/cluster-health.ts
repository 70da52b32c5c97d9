/** Outlier detection of a cluster as the rest of it sees it: what attempts ended with goes in, changed health comes out. */
import type { Clock } from "../../../shared/base/clock.ts";
import type { OutlierConfig } from "../../model/cluster.ts";
import type { AttemptOutcome } from "../upstream.ts";
import { type OutlierCounts, OutlierDetector } from "./outlier.ts";
import type { OutlierRecord, OutlierResult } from "./outlier-record.ts";

interface Watched {
  readonly outlier: OutlierRecord;
}

export interface HealthDeps {
  readonly clock: Clock;
  readonly random: () => number;
}

export class ClusterHealth {
  readonly #deps: HealthDeps;
  readonly #changed: () => void;
  readonly #watched = new Set<Watched>();
  #config: OutlierConfig | undefined;
  #detector: OutlierDetector | undefined;

  constructor(config: OutlierConfig | undefined, deps: HealthDeps, changed: () => void) {
    this.#deps = deps;
    this.#changed = changed;
    this.reconfigure(config);
  }

  get outliers(): OutlierCounts | undefined {
    return this.#detector?.counts;
  }

  reconfigure(config: OutlierConfig | undefined): void {
    if (config === this.#config) return;
    this.#config = config;
    if (config === undefined) {
      this.#detector?.close();
      this.#detector = undefined;
      this.#changed();
    } else if (this.#detector === undefined) {
      const { clock, random } = this.#deps;
      this.#detector = new OutlierDetector(config, { clock, random, changed: this.#changed });
      for (const { outlier } of this.#watched) this.#detector.add(outlier);
    } else this.#detector.reconfigure(config);
  }

  add(endpoint: Watched): void {
    this.#watched.add(endpoint);
    this.#detector?.add(endpoint.outlier);
  }

  remove(endpoint: Watched): void {
    this.#watched.delete(endpoint);
    this.#detector?.remove(endpoint.outlier);
  }

  connected(endpoint: Watched): void {
    this.#detector?.note(endpoint.outlier, { kind: "connected" });
  }

  /** Whether the outcome is a failure. */
  report(endpoint: Watched, outcome: AttemptOutcome): boolean {
    this.#detector?.note(endpoint.outlier, resultOf(outcome));
    return outcome.kind !== "status" || statusOf(outcome) >= 500;
  }

  close(): void {
    this.#detector?.close();
    this.#detector = undefined;
    this.#watched.clear();
  }
}

function resultOf(outcome: AttemptOutcome): OutlierResult {
  switch (outcome.kind) {
    case "status":
      return { kind: "answer", status: statusOf(outcome) };
    // Envoy does not tell who reset: both count as ours.
    case "local-origin-failure":
    case "reset":
      return { kind: "local-failure", status: 503 };
    case "timeout":
      return { kind: "local-failure", status: 504 };
  }
}

/** By gRPC status 0 to 16 (doc/statuscodes.md of gRPC and google.rpc.Code). */
const httpStatuses = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];

function statusOf({ status, grpcStatus }: Extract<AttemptOutcome, { kind: "status" }>): number {
  return grpcStatus === undefined ? status : (httpStatuses[grpcStatus] ?? 500);
}
