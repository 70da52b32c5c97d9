/** Faults of a route or filter as plain data (wire/waypoint.md section 5.2). */
import type { Fraction, HeaderMatcher } from "../../model/matchers.ts";

export interface FaultPlan {
  readonly delay: FaultDelay | undefined;
  readonly abort: FaultAbort | undefined;
  /** All must match; empty: every request. */
  readonly headers: readonly HeaderMatcher[];
  /** Of x-envoy-downstream-service-node; empty: all. */
  readonly downstreamNodes: ReadonlySet<string>;
}

export type FaultDelay = { readonly fraction: Fraction } & (
  | { readonly kind: "fixed"; readonly delayMs: number }
  /** The request says how long: x-envoy-fault-delay-request. */
  | { readonly kind: "header" }
);

export type FaultAbort = { readonly fraction: Fraction } & (
  | { readonly kind: "http"; readonly status: number }
  | { readonly kind: "grpc"; readonly status: number }
  /** The request says which: x-envoy-fault-abort-request or x-envoy-fault-abort-grpc-request. */
  | { readonly kind: "header" }
);
