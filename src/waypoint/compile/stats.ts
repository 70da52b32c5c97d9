/** The `istio.stats` filter, HTTP and network alike (wire/waypoint.md sections 3.4 and 6.5). */
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  type MetricConfig,
  MetricConfigSchema,
  type PluginConfig,
  PluginConfigSchema,
  Reporter,
} from "../../shared/wire/gen/stats/config_pb.js";
import { compileExpression, type Expression } from "../telemetry/cel/expression.ts";
import type { StatsConfig } from "../telemetry/config.ts";
import type { TelemetryEnvironment } from "../telemetry/environment.ts";
import {
  isMetricName,
  labelNames,
  type MetricName,
  metricNames,
} from "../telemetry/metrics/names.ts";
import type { MetricOverride, MetricOverrides } from "../telemetry/metrics/overrides.ts";
import { milliseconds } from "./cluster-values.ts";
import { readConfig, typedConfig } from "./filters/typed-config.ts";
import { at, checkFields, item, type Notes, type Path } from "./notes.ts";

/** The reference's, where the configuration has none. */
const DEFAULT_REPORTING_MS = 5000;

const fields = {
  used: ["tcp_reporting_duration", "metrics", "reporter", "disable_host_header_fallback"],
  // Metrics of one's own are for EnvoyFilters; series are bounded here by other means than rotation.
  decorative: ["definitions", "rescoping_duration", "scope_grace_period_duration"],
};

/** `config` is the filter's typed_config, a PluginConfig or one inside a TypedStruct. */
export function compileStats(
  config: Any,
  path: Path,
  notes: Notes,
  _environment: TelemetryEnvironment,
): StatsConfig {
  const message = readConfig(typedConfig(config, path), PluginConfigSchema, path);
  checkFields(message, PluginConfigSchema, path, notes, fields);
  if (message.reporter !== Reporter.SERVER_GATEWAY)
    notes.decorates(at(path, "reporter"), "a waypoint always reports as one");
  if (!message.disableHostHeaderFallback)
    notes.decorates(
      at(path, "disable_host_header_fallback"),
      "destinations are never named after what a client writes",
    );
  return {
    tcpReportingDurationMs: milliseconds(message.tcpReportingDuration, DEFAULT_REPORTING_MS),
    overrides: compileOverrides(message, path, notes),
  };
}

class OverrideBuilder {
  drop = false;
  readonly replace = new Map<string, Expression | undefined>();
  readonly add = new Map<string, Expression>();

  finish(): MetricOverride {
    return { drop: this.drop, replace: this.replace, add: [...this.add] };
  }
}

function compileOverrides({ metrics }: PluginConfig, path: Path, notes: Notes): MetricOverrides {
  const builders = new Map<MetricName, OverrideBuilder>();
  for (const [index, metric] of metrics.entries()) {
    const where = item(path, "metrics", index);
    checkFields(metric, MetricConfigSchema, where, notes, {
      used: ["dimensions", "name", "tags_to_remove", "drop"],
      // The reference does not implement it either.
      decorative: ["match"],
    });
    for (const name of concerned(metric, where, notes)) {
      const builder = builders.get(name) ?? new OverrideBuilder();
      builders.set(name, builder);
      change(builder, metric, where, notes);
    }
  }
  return new Map([...builders].map(([name, builder]) => [name, builder.finish()]));
}

/** No name is all of them, except for dropping: the reference then drops none. */
function concerned(metric: MetricConfig, path: Path, notes: Notes): readonly MetricName[] {
  const { name, drop } = metric;
  if (name === "" && !drop) return metricNames;
  if (isMetricName(name)) return [name];
  notes.decorates(at(path, "name"), `there is no metric "${name}"`);
  return [];
}

/** What the reference skips in a broken configuration of metrics is skipped here, and listed: traffic goes on. */
function change(builder: OverrideBuilder, metric: MetricConfig, path: Path, notes: Notes): void {
  if (metric.drop) {
    builder.drop = true;
    return;
  }
  for (const [index, label] of metric.tagsToRemove.entries()) {
    if (labelNames.has(label)) builder.replace.set(label, undefined);
    else notes.decorates(item(path, "tags_to_remove", index), `"${label}" is no standard label`);
  }
  for (const label of Object.keys(metric.dimensions).sort()) {
    const where = item(path, "dimensions", `"${label}"`);
    const expression = expressionOf(metric.dimensions[label] ?? "", where, notes);
    if (labelNames.has(label)) builder.replace.set(label, expression);
    else if (expression !== undefined) builder.add.set(label, expression);
  }
}

function expressionOf(source: string, path: Path, notes: Notes): Expression | undefined {
  try {
    const expression = compileExpression(source);
    for (const name of expression.unknownNames)
      notes.decorates(path, `"${name}" means nothing here; the label will be "unknown"`);
    return expression;
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    notes.decorates(path, `cannot be understood, so that the label is left out: ${reason}`);
    return undefined;
  }
}
