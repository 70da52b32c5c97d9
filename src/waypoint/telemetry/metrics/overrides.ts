/** Changes to the standard metrics, as Telemetry configures them. */
import type { Expression } from "../cel/expression.ts";
import type { MetricName } from "./names.ts";

export interface MetricOverride {
  readonly drop: boolean;
  /** Labels that get a new value or are added; in order of their names. */
  readonly dimensions: readonly (readonly [label: string, value: Expression])[];
  readonly remove: ReadonlySet<string>;
}

/** By metric; those that are not changed are absent. */
export type MetricOverrides = ReadonlyMap<MetricName, MetricOverride>;
