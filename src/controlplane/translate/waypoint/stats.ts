/** The statistics filter: which metrics, with which labels. Its configuration has no public schema of its own. */
import { create, toBinary } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import type { MetricsSpec } from "../../../shared/objects/kinds/telemetry.ts";
import { type HttpFilterInit, type NetworkFilterInit, typed } from "./filters.ts";
import type { Mesh } from "./mesh.ts";
import { type ApplicableTelemetry, concernsServer, findProvider } from "./telemetry.ts";
import {
  byText,
  bytesField,
  concat,
  durationOf,
  packBytes,
  textField,
  varintField,
} from "./wire.ts";

export interface MetricOverride {
  /** As an overriding rule names it: `REQUEST_COUNT`, or a metric of one's own. */
  readonly metric: string;
  readonly drop: boolean;
  readonly dimensions: readonly (readonly [name: string, expression: string])[];
  readonly removed: readonly string[];
}

export interface StatsConfig {
  readonly overrides: readonly MetricOverride[];
  readonly reportingIntervalMs: number | undefined;
}

const METRICS: Readonly<Record<string, string>> = {
  REQUEST_COUNT: "requests_total",
  REQUEST_DURATION: "request_duration_milliseconds",
  REQUEST_SIZE: "request_bytes",
  RESPONSE_SIZE: "response_bytes",
  TCP_OPENED_CONNECTIONS: "tcp_connections_opened_total",
  TCP_CLOSED_CONNECTIONS: "tcp_connections_closed_total",
  TCP_SENT_BYTES: "tcp_sent_bytes_total",
  TCP_RECEIVED_BYTES: "tcp_received_bytes_total",
  GRPC_REQUEST_MESSAGES: "request_messages_total",
  GRPC_RESPONSE_MESSAGES: "response_messages_total",
};

/** The filter once for each provider that wants metrics in the way of Prometheus; none when they are switched off. */
export function statsFilters(
  mesh: Mesh,
  { metrics }: ApplicableTelemetry,
): readonly (HttpFilterInit & NetworkFilterInit)[] {
  const names = [...metricsProviders(mesh, metrics)].sort(byText);
  return names.flatMap((name) => {
    if (findProvider(mesh, name)?.prometheus === undefined) return [];
    const config = statsConfig(mesh, metrics, name);
    return config === undefined
      ? []
      : [typed("istio.stats", packBytes("stats.PluginConfig", encodeStats(config)))];
  });
}

/** The most specific object that names providers decides which there are. */
function metricsProviders(mesh: Mesh, metrics: readonly MetricsSpec[]): ReadonlySet<string> {
  let names = mesh.defaultProviders.metrics;
  for (const { providers } of metrics)
    if (providers.length > 0) names = providers.map(({ name }) => name);
  return new Set(names);
}

interface Override {
  disabled: boolean | undefined;
  readonly tags: Map<string, { readonly remove: boolean; readonly value: string }>;
}

/** Those that mean this provider: one that names none means whom the one before it meant. */
function specsFor(
  mesh: Mesh,
  metrics: readonly MetricsSpec[],
  provider: string,
): readonly MetricsSpec[] {
  let names: readonly string[] = mesh.defaultProviders.metrics;
  return metrics.filter(({ providers }) => {
    if (providers.length > 0) names = providers.map(({ name }) => name);
    return names.includes(provider);
  });
}

/** Undefined when every metric is switched off at last. */
export function statsConfig(
  mesh: Mesh,
  metrics: readonly MetricsSpec[],
  provider: string,
): StatsConfig | undefined {
  const specs = specsFor(mesh, metrics, provider);
  const reportingIntervalMs = specs.findLast(
    ({ reportingInterval }) => reportingInterval !== undefined,
  )?.reportingInterval;
  const overrides = new Map<string, Override>();
  let allDisabled = false;
  for (const override of specs.flatMap((spec) => spec.overrides)) {
    if (!concernsServer(override.match?.mode)) continue;
    const chosen = metricNames(override.match);
    allDisabled = chosen.all && override.disabled === true;
    if (!allDisabled) for (const name of chosen.names) merge(overrides, name, override);
  }
  if (allDisabled) return undefined;
  const list = [...overrides].sort(([a], [b]) => byText(a, b)).map(toMetricOverride);
  return { overrides: list, reportingIntervalMs };
}

type OverrideSpec = MetricsSpec["overrides"][number];

function metricNames(match: OverrideSpec["match"]): {
  readonly all: boolean;
  readonly names: readonly string[];
} {
  if (match?.customMetric !== undefined) return { all: false, names: [match.customMetric] };
  if (match?.metric === undefined || match.metric === "ALL_METRICS")
    return { all: true, names: Object.keys(METRICS) };
  return { all: false, names: [match.metric] };
}

function merge(overrides: Map<string, Override>, name: string, spec: OverrideSpec): void {
  const known = overrides.get(name) ?? { disabled: undefined, tags: new Map() };
  known.disabled = spec.disabled ?? known.disabled;
  for (const [tag, { operation, value }] of Object.entries(spec.tagOverrides))
    known.tags.set(tag, { remove: operation === "REMOVE", value });
  overrides.set(name, known);
}

function toMetricOverride([metric, { disabled, tags }]: readonly [
  string,
  Override,
]): MetricOverride {
  const sorted = [...tags].sort(([a], [b]) => byText(a, b));
  return {
    metric,
    drop: disabled === true,
    dimensions: sorted.flatMap(([name, { remove, value }]) =>
      remove ? [] : [[name, value] as const],
    ),
    removed: sorted.flatMap(([name, { remove }]) => (remove ? [name] : [])),
  };
}

// Numbers of the fields of stats.PluginConfig and of its MetricConfig.
const TCP_REPORTING_DURATION = 7;
const DISABLE_HOST_FALLBACK = 6;
const METRIC = 8;
const REPORTER = 10;
const SERVER_GATEWAY = 1;
const DIMENSION = 1;
const NAME = 2;
const TAG_TO_REMOVE = 3;
const DROP = 5;

export function encodeStats({ overrides, reportingIntervalMs }: StatsConfig): Uint8Array {
  return concat([
    varintField(DISABLE_HOST_FALLBACK, 1),
    ...(reportingIntervalMs === undefined
      ? []
      : [
          bytesField(
            TCP_REPORTING_DURATION,
            toBinary(DurationSchema, create(DurationSchema, durationOf(reportingIntervalMs))),
          ),
        ]),
    ...overrides.map((override) => bytesField(METRIC, encodeMetric(override))),
    varintField(REPORTER, SERVER_GATEWAY),
  ]);
}

function encodeMetric({ metric, drop, dimensions, removed }: MetricOverride): Uint8Array {
  const name = Object.hasOwn(METRICS, metric) ? (METRICS[metric] ?? metric) : metric;
  return concat([
    ...dimensions.map(([key, value]) =>
      bytesField(DIMENSION, concat([textField(1, key), textField(2, value)])),
    ),
    textField(NAME, name),
    ...removed.map((tag) => textField(TAG_TO_REMOVE, tag)),
    ...(drop ? [varintField(DROP, 1)] : []),
  ]);
}
