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

export function judgeRates(
  records: readonly OutlierRecord[],
  config: OutlierConfig,
): readonly RateVerdict[] {
  const verdicts: RateVerdict[] = [];
  const origins = [
    ["success-rate", "failure-percentage", (record: OutlierRecord) => record.external],
    [
      "success-rate-local-origin",
      "failure-percentage-local-origin",
      (record: OutlierRecord) => record.local,
    ],
  ] as const;
  const { successRate, failurePercentage } = config;
  for (const [byRate, byFailures, rateOf] of config.splitLocalOrigin
    ? origins
    : origins.slice(0, 1)) {
    const forRate = measure(records, rateOf, successRate.requestVolume);
    if (forRate.length > 0 && forRate.length >= successRate.minHosts)
      for (const record of belowMean(forRate, successRate.stdevFactor))
        verdicts.push({ record, rule: byRate });
    const forFailures = measure(records, rateOf, failurePercentage.requestVolume);
    if (forFailures.length > 0 && forFailures.length >= failurePercentage.minHosts)
      for (const { record, success } of forFailures)
        if (100 - success >= failurePercentage.thresholdPercent)
          verdicts.push({ record, rule: byFailures });
  }
  return verdicts;
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
