/** Circuit breakers. */
import {
  type CircuitBreakers,
  CircuitBreakers_Thresholds_RetryBudgetSchema,
  CircuitBreakers_ThresholdsSchema,
  CircuitBreakersSchema,
} from "../../shared/wire/gen/envoy/config/cluster/v3/circuit_breaker_pb.js";
import { RoutingPriority } from "../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import type { BreakerLimits } from "../model/cluster.ts";
import { percent } from "./cluster-values.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";

const defaults: BreakerLimits = {
  maxConnections: 1024,
  maxPendingRequests: 1024,
  maxRequests: 1024,
  maxRetries: 3,
  retryBudget: undefined,
};

export function compileBreakers(
  message: CircuitBreakers | undefined,
  path: Path,
  notes: Notes,
): BreakerLimits {
  if (message === undefined) return defaults;
  checkFields(message, CircuitBreakersSchema, path, notes, { used: ["thresholds"] });
  let limits: BreakerLimits | undefined;
  for (const [index, threshold] of message.thresholds.entries()) {
    const thresholdPath = item(path, "thresholds", index);
    // No route of a waypoint has another priority.
    if (threshold.priority !== RoutingPriority.DEFAULT) {
      notes.decorates(thresholdPath, "is for requests of high priority, which there are none of");
      continue;
    }
    checkFields(threshold, CircuitBreakers_ThresholdsSchema, thresholdPath, notes, {
      used: [
        "priority",
        "max_connections",
        "max_pending_requests",
        "max_requests",
        "max_retries",
        "retry_budget",
      ],
      decorative: ["track_remaining", "max_connection_pools"],
    });
    if (limits !== undefined) throw new CompileError(thresholdPath, "has a priority twice");
    limits = {
      maxConnections: threshold.maxConnections ?? defaults.maxConnections,
      maxPendingRequests: threshold.maxPendingRequests ?? defaults.maxPendingRequests,
      maxRequests: threshold.maxRequests ?? defaults.maxRequests,
      maxRetries: threshold.maxRetries ?? defaults.maxRetries,
      retryBudget: compileBudget(threshold.retryBudget, at(thresholdPath, "retry_budget"), notes),
    };
  }
  return limits ?? defaults;
}

function compileBudget(
  message: NonNullable<CircuitBreakers["thresholds"][number]["retryBudget"]> | undefined,
  path: Path,
  notes: Notes,
): BreakerLimits["retryBudget"] {
  if (message === undefined) return undefined;
  checkFields(message, CircuitBreakers_Thresholds_RetryBudgetSchema, path, notes, {
    used: ["budget_percent", "min_retry_concurrency"],
    // budget_interval: how long a request counts after its end.
    unknownDecorative: [3],
  });
  return {
    percent: percent(message.budgetPercent?.value, 20, at(path, "budget_percent")),
    minConcurrency: message.minRetryConcurrency ?? 3,
  };
}
