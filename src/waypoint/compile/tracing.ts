/** Tracing of an HTTP connection manager (wire/waypoint.md section 6.5). */
import {
  type HttpConnectionManager,
  type HttpConnectionManager_Tracing,
  HttpConnectionManager_TracingSchema,
  type RequestIDExtension,
} from "../../shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { UuidRequestIdConfigSchema } from "../../shared/wire/gen/envoy/extensions/request_id/uuid/v3/uuid_pb.js";
import type { TracingConfig } from "../telemetry/config.ts";
import type { TelemetryEnvironment } from "../telemetry/environment.ts";
import { compileFormat } from "./access-log-format.ts";
import { percent } from "./cluster-values.ts";
import { compileCustomTags } from "./custom-tags.ts";
import { readConfig, typedConfig } from "./filters/typed-config.ts";
import { at, checkFields, type Notes, type Path } from "./notes.ts";
import { compileTracingProvider } from "./tracing-provider.ts";
import { unknownBool, unknownText } from "./unknown-fields.ts";

const OPERATION = 11;
const UPSTREAM_OPERATION = 12;
const NO_CONTEXT_PROPAGATION = 13;

const tracingFields = {
  used: [
    "client_sampling",
    "random_sampling",
    "overall_sampling",
    "verbose",
    "max_path_tag_length",
    "custom_tags",
    "provider",
    "spawn_upstream_span",
  ],
  unknownUsed: [OPERATION, NO_CONTEXT_PROPAGATION],
  unknownDecorative: [UPSTREAM_OPERATION],
};

const requestIdFields = { used: ["pack_trace_reason", "use_request_id_for_trace_sampling"] };

const DEFAULT_PATH_LENGTH = 256;

/** Reads `tracing` and `request_id_extension`; `path` names the connection manager. */
export function compileTracing(
  manager: HttpConnectionManager,
  path: Path,
  notes: Notes,
  environment: TelemetryEnvironment,
): TracingConfig | undefined {
  const requestId = compileRequestId(
    manager.requestIdExtension,
    at(path, "request_id_extension"),
    notes,
  );
  const { tracing } = manager;
  if (tracing === undefined) return undefined;
  const where = at(path, "tracing");
  checkFields(tracing, HttpConnectionManager_TracingSchema, where, notes, tracingFields);
  const operation = unknownText(tracing, OPERATION) ?? "";
  return {
    ...samplingOf(tracing, where),
    maxPathTagLength: tracing.maxPathTagLength ?? DEFAULT_PATH_LENGTH,
    verbose: noted(tracing.verbose, at(where, "verbose"), "spans carry no events", notes),
    propagate: !unknownBool(tracing, NO_CONTEXT_PROPAGATION),
    spawnUpstreamSpan: noted(
      tracing.spawnUpstreamSpan ?? false,
      at(where, "spawn_upstream_span"),
      "a request has one span, whatever its attempts",
      notes,
    ),
    ...requestId,
    operation:
      operation === "" ? undefined : compileFormat(operation, at(where, "operation"), environment),
    provider:
      tracing.provider &&
      compileTracingProvider(tracing.provider, at(where, "provider"), notes, environment),
    customTags: compileCustomTags(tracing.customTags, where, notes, environment),
  };
}

function noted(set: boolean, path: Path, why: string, notes: Notes): boolean {
  if (set) notes.decorates(path, why);
  return set;
}

function samplingOf(
  { clientSampling, randomSampling, overallSampling }: HttpConnectionManager_Tracing,
  path: Path,
): Pick<
  TracingConfig,
  "clientSamplingPercent" | "randomSamplingPercent" | "overallSamplingPercent"
> {
  const all = 100;
  return {
    clientSamplingPercent: percent(clientSampling?.value, all, at(path, "client_sampling")),
    randomSamplingPercent: percent(randomSampling?.value, all, at(path, "random_sampling")),
    overallSamplingPercent: percent(overallSampling?.value, all, at(path, "overall_sampling")),
  };
}

function compileRequestId(
  extension: RequestIDExtension | undefined,
  path: Path,
  notes: Notes,
): Pick<TracingConfig, "packTraceReason" | "sampleByRequestId"> {
  if (extension?.typedConfig === undefined)
    return { packTraceReason: true, sampleByRequestId: true };
  const where = at(path, "typed_config");
  const uuid = readConfig(
    typedConfig(extension.typedConfig, where),
    UuidRequestIdConfigSchema,
    where,
  );
  checkFields(uuid, UuidRequestIdConfigSchema, where, notes, requestIdFields);
  return {
    packTraceReason: uuid.packTraceReason ?? true,
    sampleByRequestId: uuid.useRequestIdForTraceSampling ?? true,
  };
}
