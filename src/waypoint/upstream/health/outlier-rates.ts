/** Which endpoints are worse than the others over an interval: by success rate, by percentage of failures. Pure. */
import type { OutlierConfig } from "../../model/cluster.ts";
import type { OutlierRecord, OutlierRule, Rate } from "./outlier-record.ts";

export interface RateVerdict {
  readonly record: OutlierRecord;
  readonly rule: OutlierRule;
}

interface Measured {
  readonly record: OutlierRecord;
  /** Percent. */
  readonly success: number;
}

function measure(
  records: readonly OutlierRecord[],
  rateOf: (record: OutlierRecord) => Rate,
  volume: number,
): readonly Measured[] {
  return records
    .filter((record) => record.ejectedAtMs === undefined && rateOf(record).total >= volume)
    .filter((record) => rateOf(record).total > 0)
    .map((record) => {
      const { successes, total } = rateOf(record);
      return { record, success: (100 * successes) / total };
    });
}

/** Below the mean by so many standard deviations. */
function belowMean(measured: readonly Measured[], stdevFactor: number): readonly OutlierRecord[] {
  const mean = measured.reduce((sum, { success }) => sum + success, 0) / measured.length;
  const variance =
    measured.reduce((sum, { success }) => sum + (success - mean) ** 2, 0) / measured.length;
  const threshold = mean - Math.sqrt(variance) * (stdevFactor / 1000);
  return measured.filter(({ success }) => success < threshold).map(({ record }) => record);
}

interface Origin {
  readonly byRate: OutlierRule;
  readonly byFailures: OutlierRule;
  readonly rateOf: (record: OutlierRecord) => Rate;
}

const external: Origin = {
  byRate: "success-rate",
  byFailures: "failure-percentage",
  rateOf: (record) => record.external,
};
const local: Origin = {
  byRate: "success-rate-local-origin",
  byFailures: "failure-percentage-local-origin",
  rateOf: (record) => record.local,
};

export function judgeRates(
  records: readonly OutlierRecord[],
  config: OutlierConfig,
): readonly RateVerdict[] {
  const origins = config.splitLocalOrigin ? [external, local] : [external];
  return origins.flatMap((origin) => [
    ...bySuccess(records, origin, config),
    ...byFailures(records, origin, config),
  ]);
}

function bySuccess(
  records: readonly OutlierRecord[],
  { byRate: rule, rateOf }: Origin,
  { successRate }: OutlierConfig,
): readonly RateVerdict[] {
  const measured = measure(records, rateOf, successRate.requestVolume);
  if (measured.length === 0 || measured.length < successRate.minHosts) return [];
  return belowMean(measured, successRate.stdevFactor).map((record) => ({ record, rule }));
}

function byFailures(
  records: readonly OutlierRecord[],
  { byFailures: rule, rateOf }: Origin,
  { failurePercentage }: OutlierConfig,
): readonly RateVerdict[] {
  const measured = measure(records, rateOf, failurePercentage.requestVolume);
  if (measured.length === 0 || measured.length < failurePercentage.minHosts) return [];
  return measured
    .filter(({ success }) => 100 - success >= failurePercentage.thresholdPercent)
    .map(({ record }) => ({ record, rule }));
}

/** How often a rule is carried out, in percent. */
export function enforcingPercent(rule: OutlierRule, config: OutlierConfig): number {
  switch (rule) {
    case "consecutive-5xx":
      return config.consecutive5xx.enforcingPercent;
    case "consecutive-gateway-failure":
      return config.consecutiveGateway.enforcingPercent;
    case "consecutive-local-origin-failure":
      return config.consecutiveLocalOrigin.enforcingPercent;
    case "success-rate":
      return config.successRate.enforcingPercent;
    case "success-rate-local-origin":
      return config.successRate.enforcingLocalOriginPercent;
    case "failure-percentage":
      return config.failurePercentage.enforcingPercent;
    case "failure-percentage-local-origin":
      return config.failurePercentage.enforcingLocalOriginPercent;
  }
}
