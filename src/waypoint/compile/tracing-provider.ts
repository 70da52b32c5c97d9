/** Where spans go. */
import { fromBinary } from "@bufbuild/protobuf";
import {
  type GrpcService,
  GrpcServiceSchema,
} from "../../shared/wire/gen/envoy/config/core/v3/grpc_service_pb.js";
import {
  type HttpService,
  HttpServiceSchema,
} from "../../shared/wire/gen/envoy/config/core/v3/http_service_pb.js";
import {
  type Tracing_Http,
  Tracing_HttpSchema,
} from "../../shared/wire/gen/envoy/config/trace/v3/http_tracer_pb.js";
import { OpenTelemetryConfigSchema } from "../../shared/wire/gen/envoy/config/trace/v3/opentelemetry_pb.js";
import {
  type ZipkinConfig,
  ZipkinConfig_CollectorEndpointVersion,
  ZipkinConfigSchema,
} from "../../shared/wire/gen/envoy/config/trace/v3/zipkin_pb.js";
import type { GrpcCollector, HttpCollector, TracingProvider } from "../telemetry/config.ts";
import type { TelemetryEnvironment } from "../telemetry/environment.ts";
import { attempt } from "./attempt.ts";
import { milliseconds } from "./cluster-values.ts";
import { readConfig, type TypedConfig, typedConfig } from "./filters/typed-config.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";
import { unknownBytes, unknownInt } from "./unknown-fields.ts";

const providerFields = { used: ["name", "typed_config"] };

/** What these would do is lost spans only; requests go on. */
const unspoken: ReadonlySet<string> = new Set([
  "envoy.config.trace.v3.DatadogConfig",
  "envoy.config.trace.v3.SkyWalkingConfig",
  "envoy.config.trace.v3.LightstepConfig",
  "envoy.config.trace.v3.OpenCensusConfig",
  "envoy.config.trace.v3.XRayConfig",
]);

export function compileTracingProvider(
  provider: Tracing_Http,
  path: Path,
  notes: Notes,
  environment: TelemetryEnvironment,
): TracingProvider | undefined {
  checkFields(provider, Tracing_HttpSchema, path, notes, providerFields);
  const where = at(path, "typed_config");
  const config = typedConfig(
    provider.configType.case === "typedConfig" ? provider.configType.value : undefined,
    where,
  );
  if (config.typeName === ZipkinConfigSchema.typeName) return zipkin(config, where, notes);
  if (config.typeName === OpenTelemetryConfigSchema.typeName)
    return openTelemetry(config, where, notes, environment);
  if (!unspoken.has(config.typeName))
    throw new CompileError(where, `${config.typeName} is not supported`);
  notes.decorates(where, "spans go to Zipkin and OpenTelemetry collectors only");
  return undefined;
}

/** 0: B3; 1: B3 and W3C. */
const TRACE_CONTEXT_OPTION = 8;
const COLLECTOR_SERVICE = 9;

const zipkinFields = {
  used: [
    "collector_cluster",
    "collector_endpoint",
    "collector_hostname",
    "trace_id_128bit",
    "shared_span_context",
    "collector_endpoint_version",
  ],
  // Whether a span of its own stands for the upstream.
  decorative: ["split_spans_for_request"],
  unknownUsed: [TRACE_CONTEXT_OPTION, COLLECTOR_SERVICE],
};

/** Envoy's for reports. */
const REPORT_TIMEOUT_MS = 5000;

function zipkin(config: TypedConfig, path: Path, notes: Notes): TracingProvider {
  const message = readConfig(config, ZipkinConfigSchema, path);
  checkFields(message, ZipkinConfigSchema, path, notes, zipkinFields);
  const version = message.collectorEndpointVersion;
  if (version === ZipkinConfig_CollectorEndpointVersion.GRPC)
    throw new CompileError(at(path, "collector_endpoint_version"), "GRPC is not supported");
  if (version === ZipkinConfig_CollectorEndpointVersion.HTTP_PROTO)
    notes.decorates(
      at(path, "collector_endpoint_version"),
      "spans are sent as JSON, which every collector of this version takes",
    );
  return {
    kind: "zipkin",
    collector: zipkinCollector(message, path, notes),
    traceId128: message.traceId128bit,
    sharedSpanContext: message.sharedSpanContext ?? true,
    w3c: unknownInt(message, TRACE_CONTEXT_OPTION) === 1,
  };
}

function zipkinCollector(message: ZipkinConfig, path: Path, notes: Notes): HttpCollector {
  const service = unknownBytes(message, COLLECTOR_SERVICE);
  if (service !== undefined) {
    const where = at(path, "collector_service");
    return httpCollector(
      attempt(where, () => fromBinary(HttpServiceSchema, service)),
      where,
      notes,
    );
  }
  const { collectorCluster: cluster, collectorEndpoint, collectorHostname } = message;
  if (cluster === "") throw new CompileError(at(path, "collector_cluster"), "is empty");
  if (!collectorEndpoint.startsWith("/"))
    throw new CompileError(at(path, "collector_endpoint"), "is not a path");
  return {
    cluster,
    authority: collectorHostname === "" ? cluster : collectorHostname,
    path: collectorEndpoint,
    timeoutMs: REPORT_TIMEOUT_MS,
    headers: [],
  };
}

const httpServiceFields = { used: ["http_uri", "request_headers_to_add"] };

function httpCollector(service: HttpService, path: Path, notes: Notes): HttpCollector {
  checkFields(service, HttpServiceSchema, path, notes, httpServiceFields);
  const uri = service.httpUri;
  if (uri === undefined) throw new CompileError(at(path, "http_uri"), "is missing");
  const cluster = uri.httpUpstreamType.value ?? "";
  if (cluster === "") throw new CompileError(at(path, "http_uri.cluster"), "is empty");
  const { authority, target } = uriParts(uri.uri, at(path, "http_uri.uri"));
  return {
    cluster,
    authority: authority ?? cluster,
    path: target,
    timeoutMs: milliseconds(uri.timeout, REPORT_TIMEOUT_MS),
    headers: service.requestHeadersToAdd.map(({ header }, index) => {
      if (header === undefined || header.key === "")
        throw new CompileError(item(path, "request_headers_to_add", index), "has no name");
      const text = header.value === "" ? new TextDecoder().decode(header.rawValue) : header.value;
      return [header.key.toLowerCase(), text] as const;
    }),
  };
}

/** A URL, or a path alone. */
function uriParts(
  uri: string,
  path: Path,
): { readonly authority: string | undefined; readonly target: string } {
  if (uri.startsWith("/")) return { authority: undefined, target: uri };
  const found = /^(?:https?:\/\/)?([^/?#]+)(\/.*)?$/.exec(uri);
  if (found === null) throw new CompileError(path, `"${uri}" is neither a URL nor a path`);
  return { authority: found[1], target: found[2] ?? "/" };
}

/** max_cache_size: spans that wait while the collector is away; bounded here anyway. */
const MAX_CACHE_SIZE = 6;

const openTelemetryFields = {
  used: ["grpc_service", "http_service", "service_name", "resource_detectors", "sampler"],
  unknownDecorative: [MAX_CACHE_SIZE],
};

const ALWAYS_ON = "envoy.extensions.tracers.opentelemetry.samplers.v3.AlwaysOnSamplerConfig";
const ENVIRONMENT_DETECTOR =
  "envoy.extensions.tracers.opentelemetry.resource_detectors.v3.EnvironmentResourceDetectorConfig";

function openTelemetry(
  config: TypedConfig,
  path: Path,
  notes: Notes,
  environment: TelemetryEnvironment,
): TracingProvider {
  const message = readConfig(config, OpenTelemetryConfigSchema, path);
  checkFields(message, OpenTelemetryConfigSchema, path, notes, openTelemetryFields);
  const { grpcService, httpService, sampler } = message;
  if ((grpcService === undefined) === (httpService === undefined))
    throw new CompileError(path, "needs either grpc_service or http_service");
  const samplerName = sampler && nameOf(sampler.typedConfig?.typeUrl);
  if (samplerName !== undefined && samplerName !== ALWAYS_ON)
    notes.decorates(at(path, "sampler"), `${samplerName} is not known; the percentages decide`);
  return {
    kind: "opentelemetry",
    export:
      httpService === undefined
        ? {
            kind: "grpc",
            collector: grpcCollector(grpcService, at(path, "grpc_service"), notes),
          }
        : { kind: "http", collector: httpCollector(httpService, at(path, "http_service"), notes) },
    serviceName: message.serviceName === "" ? "unknown_service:envoy" : message.serviceName,
    sampler: samplerName === ALWAYS_ON ? "always-on" : undefined,
    resource: message.resourceDetectors.flatMap((detector, index) => {
      const name = nameOf(detector.typedConfig?.typeUrl);
      if (name === ENVIRONMENT_DETECTOR)
        return attributesOf(environment.variable("OTEL_RESOURCE_ATTRIBUTES"));
      notes.decorates(item(path, "resource_detectors", index), `${name} is not known`);
      return [];
    }),
  };
}

function nameOf(typeUrl = ""): string {
  return typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
}

/** `key=value,key=value`. */
function attributesOf(text = ""): (readonly [string, string])[] {
  return text.split(",").flatMap((pair) => {
    const equals = pair.indexOf("=");
    return equals <= 0 ? [] : [[pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()]];
  });
}

const grpcFields = {
  used: ["envoy_grpc", "timeout", "initial_metadata"],
  decorative: ["retry_policy"],
};

function grpcCollector(service: GrpcService | undefined, path: Path, notes: Notes): GrpcCollector {
  if (service === undefined) throw new CompileError(path, "is missing");
  checkFields(service, GrpcServiceSchema, path, notes, grpcFields);
  const { targetSpecifier: target } = service;
  if (target.case !== "envoyGrpc") throw new CompileError(path, "has no envoy_grpc");
  const { clusterName: cluster, authority } = target.value;
  if (cluster === "") throw new CompileError(at(path, "envoy_grpc.cluster_name"), "is empty");
  return {
    cluster,
    authority: authority === "" ? cluster : authority,
    timeoutMs: milliseconds(service.timeout, REPORT_TIMEOUT_MS),
    metadata: service.initialMetadata.map(({ key, value }) => [key.toLowerCase(), value] as const),
  };
}
