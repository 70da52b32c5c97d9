/** Telemetry: what a proxy reports of the traffic, and to whom. */
import {
  boolean,
  defaulted,
  type Infer,
  list,
  object,
  oneOf,
  optional,
  record,
  required,
  string,
} from "../schema.ts";
import { condition } from "./core.ts";
import { targetRef, workloadSelector } from "./istio.ts";
import { duration, number } from "./scalars.ts";

const mode = oneOf("CLIENT_AND_SERVER", "CLIENT", "SERVER");
const providers = defaulted(list(object({ name: required(string) })), []);

const metricName = oneOf(
  "ALL_METRICS",
  "REQUEST_COUNT",
  "REQUEST_DURATION",
  "REQUEST_SIZE",
  "RESPONSE_SIZE",
  "TCP_OPENED_CONNECTIONS",
  "TCP_CLOSED_CONNECTIONS",
  "TCP_SENT_BYTES",
  "TCP_RECEIVED_BYTES",
  "GRPC_REQUEST_MESSAGES",
  "GRPC_RESPONSE_MESSAGES",
);

const metricsOverride = object({
  match: optional(
    object({
      metric: optional(metricName),
      customMetric: optional(string),
      mode: optional(mode),
    }),
  ),
  disabled: optional(boolean),
  tagOverrides: defaulted(
    record(
      object({
        operation: defaulted(oneOf("UPSERT", "REMOVE"), "UPSERT"),
        value: defaulted(string, ""),
      }),
    ),
    {},
  ),
});

const metrics = object({
  providers,
  overrides: defaulted(list(metricsOverride), []),
  reportingInterval: optional(duration),
});

const accessLogging = object({
  match: optional(object({ mode: optional(mode) })),
  providers,
  disabled: optional(boolean),
  filter: optional(object({ expression: defaulted(string, "") })),
});

const customTag = object({
  literal: optional(object({ value: required(string) })),
  environment: optional(object({ name: required(string), defaultValue: defaulted(string, "") })),
  header: optional(object({ name: required(string), defaultValue: defaulted(string, "") })),
  formatter: optional(object({ value: required(string) })),
});

const tracing = object({
  match: optional(object({ mode: optional(mode) })),
  providers,
  randomSamplingPercentage: optional(number(0, 100)),
  disableSpanReporting: optional(boolean),
  disableContextPropagation: optional(boolean),
  customTags: defaulted(record(customTag), {}),
  enableIstioTags: optional(boolean),
  useRequestIdForTraceSampling: optional(boolean),
});

const telemetrySpec = object({
  selector: optional(workloadSelector),
  targetRef: optional(targetRef),
  targetRefs: defaulted(list(targetRef), []),
  metrics: defaulted(list(metrics), []),
  accessLogging: defaulted(list(accessLogging), []),
  tracing: defaulted(list(tracing), []),
});

export const telemetryBody = object({
  spec: defaulted(telemetrySpec, { targetRefs: [], metrics: [], accessLogging: [], tracing: [] }),
  status: optional(object({ conditions: defaulted(list(condition), []) }, { open: true })),
});

export type TracingSpec = Infer<typeof tracing>;
export type MetricsSpec = Infer<typeof metrics>;
export type AccessLoggingSpec = Infer<typeof accessLogging>;
