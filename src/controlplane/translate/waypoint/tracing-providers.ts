/** Collectors of spans: Zipkin and OpenTelemetry. */
import { create, toBinary } from "@bufbuild/protobuf";
import type {
  ExtensionProvider,
  OpenTelemetryProvider,
  ProviderHeader,
  ZipkinProvider,
} from "../../../shared/objects/kinds/mesh-config.ts";
import { HeaderValueOption_HeaderAppendAction } from "../../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import { HttpServiceSchema } from "../../../shared/wire/gen/envoy/config/core/v3/http_service_pb.js";
import { OpenTelemetryConfigSchema } from "../../../shared/wire/gen/envoy/config/trace/v3/opentelemetry_pb.js";
import {
  ZipkinConfig_CollectorEndpointVersion,
  ZipkinConfigSchema,
} from "../../../shared/wire/gen/envoy/config/trace/v3/zipkin_pb.js";
import { isAtLeast, type WaypointNode } from "./node.ts";
import { findProviderService, type ProviderService } from "./providers.ts";
import type { ServiceDirectory } from "./services.ts";
import { durationOf, pack, packBytes, packed, unknownBytes, varint } from "./wire.ts";

type Packed = ReturnType<typeof pack>;

export interface ProviderConfig {
  readonly name: string;
  readonly typedConfig: Packed;
  readonly maxTagLength: number;
  /** It decides by itself what is sampled. */
  readonly ownSampler: boolean;
}

/** Undefined for providers that take no spans and for collectors that are not to be found. */
export function providerConfig(
  provider: ExtensionProvider,
  node: WaypointNode,
  services: ServiceDirectory,
): ProviderConfig | undefined {
  const { zipkin, opentelemetry } = provider;
  const target = zipkin ?? opentelemetry;
  if (target === undefined) return undefined;
  const found = findProviderService(services, target.service, target.port);
  if (typeof found === "string") return undefined;
  const { maxTagLength } = target;
  if (zipkin !== undefined)
    return {
      name: "envoy.tracers.zipkin",
      typedConfig: zipkinConfig(zipkin, found, node),
      maxTagLength,
      ownSampler: false,
    };
  if (opentelemetry === undefined) return undefined;
  return {
    name: "envoy.tracers.opentelemetry",
    typedConfig: openTelemetryConfig(opentelemetry, found, node),
    maxTagLength,
    ownSampler: opentelemetry.dynatraceSampler !== undefined,
  };
}

const ZIPKIN_PATH = "/api/v2/spans";
const ZIPKIN_TIMEOUT_MS = 5000;
const TRACE_CONTEXT_OPTION = 8;
const USE_B3_WITH_W3C = 1;
const COLLECTOR_SERVICE = 9;

function zipkinConfig(
  provider: ZipkinProvider,
  { hostname, cluster }: ProviderService,
  node: WaypointNode,
): Packed {
  const path = provider.path === "" ? ZIPKIN_PATH : provider.path;
  const asService = isAtLeast(node, 1, 29);
  const message = create(ZipkinConfigSchema, {
    collectorEndpointVersion: ZipkinConfig_CollectorEndpointVersion.HTTP_JSON,
    traceId128bit: !provider.enable64bitTraceId,
    sharedSpanContext: false,
    ...(asService
      ? {}
      : { collectorCluster: cluster, collectorEndpoint: path, collectorHostname: hostname }),
  });
  const unknown: NonNullable<typeof message.$unknown> = [];
  if (isAtLeast(node, 1, 28) && provider.traceContextOption === "USE_B3_WITH_W3C_PROPAGATION")
    unknown.push({ no: TRACE_CONTEXT_OPTION, wireType: 0, data: varint(USE_B3_WITH_W3C) });
  if (asService) {
    const service = create(HttpServiceSchema, {
      httpUri: {
        uri: `http://${hostname}${path}`,
        httpUpstreamType: { case: "cluster", value: cluster },
        timeout: durationOf(provider.timeout ?? ZIPKIN_TIMEOUT_MS),
      },
      requestHeadersToAdd: provider.headers.map(headerToSet),
    });
    unknown.push(unknownBytes(COLLECTOR_SERVICE, toBinary(HttpServiceSchema, service)));
  }
  if (unknown.length > 0) message.$unknown = unknown;
  return packed(ZipkinConfigSchema, message);
}

/** A value from the environment of the reference's control plane has no counterpart here. */
function headerToSet({ name, value = "" }: ProviderHeader) {
  return {
    header: { key: name, value },
    appendAction: HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
  };
}

function openTelemetryConfig(
  provider: OpenTelemetryProvider,
  { hostname, cluster }: ProviderService,
  node: WaypointNode,
): Packed {
  const { http, grpc } = provider;
  return pack(OpenTelemetryConfigSchema, {
    serviceName:
      provider.serviceAttributeEnrichment === "OTEL_SEMANTIC_CONVENTIONS"
        ? semanticServiceName(node)
        : node.serviceCluster,
    resourceDetectors: resourceDetectors(provider),
    ...(http === undefined
      ? {
          grpcService: {
            targetSpecifier: {
              case: "envoyGrpc",
              value: { clusterName: cluster, authority: hostname },
            },
            initialMetadata: (grpc?.initialMetadata ?? []).map(({ name, value = "" }) => ({
              key: name,
              value,
            })),
            ...(grpc?.timeout === undefined ? {} : { timeout: durationOf(grpc.timeout) }),
          },
        }
      : {
          httpService: {
            httpUri: {
              uri: `${hostname}/${http.path.replace(/^\/+/, "")}`,
              httpUpstreamType: { case: "cluster", value: cluster },
              ...(http.timeout === undefined ? {} : { timeout: durationOf(http.timeout) }),
            },
            requestHeadersToAdd: http.headers.map(headerToSet),
          },
        }),
  });
}

const DETECTORS = "envoy.extensions.tracers.opentelemetry.resource_detectors.v3";

function detector(name: "environment" | "dynatrace", type: string) {
  return {
    name: `envoy.tracers.opentelemetry.resource_detectors.${name}`,
    typedConfig: packBytes(`${DETECTORS}.${type}`, new Uint8Array()),
  };
}

function resourceDetectors({
  resourceDetectors: wanted,
  serviceAttributeEnrichment,
}: OpenTelemetryProvider) {
  const environment =
    wanted?.environment !== undefined || serviceAttributeEnrichment === "OTEL_SEMANTIC_CONVENTIONS";
  const found: ReturnType<typeof detector>[] = [];
  if (environment) found.push(detector("environment", "EnvironmentResourceDetectorConfig"));
  if (wanted?.dynatrace !== undefined)
    found.push(detector("dynatrace", "DynatraceResourceDetectorConfig"));
  return found;
}

/** OpenTelemetry's own order of where a service's name comes from on Kubernetes. */
function semanticServiceName({ annotations, labels, podName }: WaypointNode): string {
  return (
    annotations["resource.opentelemetry.io/service.name"] ||
    labels["app.kubernetes.io/instance"] ||
    labels["app.kubernetes.io/name"] ||
    podName ||
    "unknown_service"
  );
}
