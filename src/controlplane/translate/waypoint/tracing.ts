/** Tracing of a connection manager: whom spans go to, how many, and with which tags. */
import { create } from "@bufbuild/protobuf";
import type { ExtensionProvider } from "../../../shared/objects/kinds/mesh-config.ts";
import type { TracingSpec } from "../../../shared/objects/kinds/telemetry.ts";
import {
  type HttpConnectionManager_Tracing,
  HttpConnectionManager_TracingSchema,
} from "../../../shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { Mesh } from "./mesh.ts";
import { isAtLeast, type WaypointNode } from "./node.ts";
import type { ServiceDirectory } from "./services.ts";
import { type ApplicableTelemetry, concernsServer, findProvider } from "./telemetry.ts";
import { providerConfig } from "./tracing-providers.ts";
import { tracingTags } from "./tracing-tags.ts";
import { varint } from "./wire.ts";

export interface TracingResult {
  /** Undefined: no spans. */
  readonly tracing: HttpConnectionManager_Tracing | undefined;
  readonly useRequestIdForSampling: boolean;
}

/** Share of requests that the reference samples when nobody says more. */
const DEFAULT_SAMPLING = 1;
const NO_CONTEXT_PROPAGATION = 13;

interface Decision {
  provider: ExtensionProvider | undefined;
  disabled: boolean;
  sampling: number | undefined;
  tags: TracingSpec["customTags"];
  useRequestId: boolean;
  istioTags: boolean;
  noPropagation: boolean;
}

export function tracingOf(
  mesh: Mesh,
  node: WaypointNode,
  services: ServiceDirectory,
  { tracing }: ApplicableTelemetry,
): TracingResult {
  const plain = { tracing: undefined, useRequestIdForSampling: true };
  const [defaultProvider] = mesh.defaultProviders.tracing;
  if (tracing.length === 0 && defaultProvider === undefined)
    return mesh.tracingEnabled ? { ...plain, tracing: fromProxyConfig(mesh, node) } : plain;
  const decision = decide(mesh, tracing, defaultProvider);
  if (decision.disabled || decision.provider === undefined) return plain;
  const config = providerConfig(decision.provider, node, services);
  if (config === undefined) return plain;
  const message = create(HttpConnectionManager_TracingSchema, {
    ...sampled(config.ownSampler ? 100 : (decision.sampling ?? meshSampling(mesh))),
    provider: {
      name: config.name,
      configType: { case: "typedConfig", value: config.typedConfig },
    },
    customTags: tracingTags(mesh, node, { istioTags: decision.istioTags, custom: decision.tags }),
    ...pathTag(config.maxTagLength || (mesh.tracing?.maxPathTagLength ?? 0)),
  });
  if (decision.noPropagation && isAtLeast(node, 1, 30))
    message.$unknown = [{ no: NO_CONTEXT_PROPAGATION, wireType: 0, data: varint(1) }];
  return { tracing: message, useRequestIdForSampling: decision.useRequestId };
}

/** Without any provider spans go nowhere, yet requests are sampled and headers passed on. */
function fromProxyConfig(mesh: Mesh, node: WaypointNode): HttpConnectionManager_Tracing {
  return create(HttpConnectionManager_TracingSchema, {
    ...sampled(meshSampling(mesh)),
    customTags: tracingTags(mesh, node, {
      istioTags: mesh.tracing?.enableIstioTags !== false,
      custom: {},
    }),
    ...pathTag(mesh.tracing?.maxPathTagLength ?? 0),
  });
}

function meshSampling({ tracing }: Mesh): number {
  const { sampling } = tracing ?? {};
  return sampling === undefined || sampling === 0 ? DEFAULT_SAMPLING : sampling;
}

function sampled(percent: number) {
  return {
    clientSampling: { value: 100 },
    overallSampling: { value: 100 },
    randomSampling: { value: percent },
  };
}

function pathTag(length: number) {
  return length === 0 ? {} : { maxPathTagLength: length };
}

function decide(
  mesh: Mesh,
  specs: readonly TracingSpec[],
  defaultProvider: string | undefined,
): Decision {
  const decision: Decision = {
    provider: defaultProvider === undefined ? undefined : findProvider(mesh, defaultProvider),
    disabled: false,
    sampling: undefined,
    tags: {},
    useRequestId: true,
    istioTags: true,
    noPropagation: false,
  };
  for (const spec of specs) {
    if (!concernsServer(spec.match?.mode)) continue;
    const [named] = spec.providers;
    if (named !== undefined) decision.provider = findProvider(mesh, named.name);
    decision.disabled = spec.disableSpanReporting ?? decision.disabled;
    if (Object.keys(spec.customTags).length > 0) decision.tags = spec.customTags;
    decision.sampling = spec.randomSamplingPercentage ?? decision.sampling;
    decision.useRequestId = spec.useRequestIdForTraceSampling ?? decision.useRequestId;
    decision.istioTags = spec.enableIstioTags ?? decision.istioTags;
    decision.noPropagation = spec.disableContextPropagation ?? decision.noPropagation;
  }
  return decision;
}
