/** Changes to the standard metrics, as Telemetry configures them. */
import type { Expression } from "../cel/expression.ts";
import type { MetricName } from "./names.ts";

export interface MetricOverride {
  readonly drop: boolean;
  /** Standard labels with another value; undefined removes them. */
  readonly replace: ReadonlyMap<string, Expression | undefined>;
  /** Labels of the configuration's own, behind the standard ones. */
  readonly add: readonly (readonly [label: string, value: Expression])[];
}

/** By metric; those that are not changed are absent. */
export type MetricOverrides = ReadonlyMap<MetricName, MetricOverride>;
