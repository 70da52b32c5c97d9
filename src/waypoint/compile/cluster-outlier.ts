/** Outlier detection; what is not set is as Envoy has it. */
import {
  type OutlierDetection,
  OutlierDetectionSchema,
} from "../../shared/wire/gen/envoy/config/cluster/v3/outlier_detection_pb.js";
import type { OutlierConfig } from "../model/cluster.ts";
import { milliseconds, percent, positiveMs } from "./cluster-values.ts";
import { at, CompileError, checkFields, type Notes, type Path } from "./notes.ts";

export function compileOutlier(
  message: OutlierDetection | undefined,
  path: Path,
  notes: Notes,
): OutlierConfig | undefined {
  if (message === undefined) return undefined;
  checkFields(message, OutlierDetectionSchema, path, notes, {
    used: OutlierDetectionSchema.fields
      .map(({ name }) => name)
      .filter((name) => name !== "monitors"),
    // There are no active health checks on a waypoint.
    decorative: ["successful_active_health_check_uneject_host"],
  });
  const percentage = (value: number | undefined, otherwise: number, field: string): number =>
    percent(value, otherwise, at(path, field));
  const baseEjectionMs = positiveMs(
    message.baseEjectionTime,
    30_000,
    at(path, "base_ejection_time"),
  );
  const maxEjectionMs = positiveMs(
    message.maxEjectionTime,
    Math.max(300_000, baseEjectionMs),
    at(path, "max_ejection_time"),
  );
  if (maxEjectionMs < baseEjectionMs)
    throw new CompileError(
      at(path, "max_ejection_time"),
      "must not be shorter than base_ejection_time",
    );
  return {
    intervalMs: positiveMs(message.interval, 10_000, at(path, "interval")),
    baseEjectionMs,
    maxEjectionMs,
    maxEjectionJitterMs: milliseconds(message.maxEjectionTimeJitter, 0),
    maxEjectionPercent: percentage(message.maxEjectionPercent, 10, "max_ejection_percent"),
    alwaysEjectOne: message.alwaysEjectOneHost ?? false,
    splitLocalOrigin: message.splitExternalLocalOriginErrors,
    consecutive5xx: {
      threshold: message.consecutive5xx ?? 5,
      enforcingPercent: percentage(
        message.enforcingConsecutive5xx,
        100,
        "enforcing_consecutive_5xx",
      ),
    },
    consecutiveGateway: {
      threshold: message.consecutiveGatewayFailure ?? 5,
      enforcingPercent: percentage(
        message.enforcingConsecutiveGatewayFailure,
        0,
        "enforcing_consecutive_gateway_failure",
      ),
    },
    consecutiveLocalOrigin: {
      threshold: message.consecutiveLocalOriginFailure ?? 5,
      enforcingPercent: percentage(
        message.enforcingConsecutiveLocalOriginFailure,
        100,
        "enforcing_consecutive_local_origin_failure",
      ),
    },
    successRate: {
      enforcingPercent: percentage(message.enforcingSuccessRate, 100, "enforcing_success_rate"),
      enforcingLocalOriginPercent: percentage(
        message.enforcingLocalOriginSuccessRate,
        100,
        "enforcing_local_origin_success_rate",
      ),
      minHosts: message.successRateMinimumHosts ?? 5,
      requestVolume: message.successRateRequestVolume ?? 100,
      stdevFactor: message.successRateStdevFactor ?? 1900,
    },
    failurePercentage: {
      thresholdPercent: percentage(
        message.failurePercentageThreshold,
        85,
        "failure_percentage_threshold",
      ),
      enforcingPercent: percentage(
        message.enforcingFailurePercentage,
        0,
        "enforcing_failure_percentage",
      ),
      enforcingLocalOriginPercent: percentage(
        message.enforcingFailurePercentageLocalOrigin,
        0,
        "enforcing_failure_percentage_local_origin",
      ),
      minHosts: message.failurePercentageMinimumHosts ?? 5,
      requestVolume: message.failurePercentageRequestVolume ?? 50,
    },
  };
}
