/** The part of Istio's mesh configuration (ConfigMap `istio`, key `mesh`) that concerns node proxies and waypoints. */
import { parse } from "yaml";
import {
  anything,
  boolean,
  defaulted,
  type Infer,
  integer,
  list,
  object,
  oneOf,
  optional,
  type Problem,
  record,
  required,
  string,
} from "../schema.ts";
import { localityLbSetting, tcpKeepalive } from "./destination-rule.ts";
import { labelSelector } from "./gateway.ts";
import { duration, MAX_UINT32, number } from "./scalars.ts";
import { httpRetry } from "./virtual-service.ts";

export const MESH_CONFIG_NAME = "istio";
export const MESH_CONFIG_KEY = "mesh";

const strings = list(string);
const visibility = oneOf("PUBLIC", "NAMESPACE", "NONE", "UNSPECIFIED");

/** Matchers of a kind we do not know never match, as in the reference. */
const matchingRule = object({ namespaceSelector: optional(labelSelector) }, { open: true });

const visibilityPolicy = object({
  visibility: defaulted(visibility, "UNSPECIFIED"),
  matchingRules: defaulted(list(matchingRule), []),
});

const serviceEntryVisibility = object(
  {
    defaultVisibility: defaulted(visibility, "UNSPECIFIED"),
    policies: defaulted(list(visibilityPolicy), []),
  },
  { ignored: ["applyToSidecars"] },
);

/** A service of the mesh that a proxy calls by itself. */
const upstream = { service: defaulted(string, ""), port: defaulted(integer(0, 65535), 0) };

const requestBody = object({
  maxRequestBytes: defaulted(integer(0, MAX_UINT32), 0),
  allowPartialMessage: defaulted(boolean, false),
  packAsBytes: defaulted(boolean, false),
});

const extAuthzHttp = object({
  ...upstream,
  timeout: optional(duration),
  pathPrefix: defaulted(string, ""),
  failOpen: defaulted(boolean, false),
  clearRouteCache: defaulted(boolean, false),
  statusOnError: defaulted(string, ""),
  includeHeadersInCheck: defaulted(strings, []),
  includeRequestHeadersInCheck: defaulted(strings, []),
  includeAdditionalHeadersInCheck: defaulted(record(string), {}),
  includeRequestBodyInCheck: optional(requestBody),
  headersToUpstreamOnAllow: defaulted(strings, []),
  headersToDownstreamOnDeny: defaulted(strings, []),
  headersToDownstreamOnAllow: defaulted(strings, []),
});

const extAuthzGrpc = object({
  ...upstream,
  timeout: optional(duration),
  failOpen: defaulted(boolean, false),
  clearRouteCache: defaulted(boolean, false),
  statusOnError: defaulted(string, ""),
  includeRequestBodyInCheck: optional(requestBody),
});

const header = object({
  name: required(string),
  value: optional(string),
  envName: optional(string),
});

const zipkin = object({
  ...upstream,
  maxTagLength: defaulted(integer(0, MAX_UINT32), 0),
  enable64bitTraceId: defaulted(boolean, false),
  path: defaulted(string, ""),
  traceContextOption: defaulted(oneOf("USE_B3", "USE_B3_WITH_W3C_PROPAGATION"), "USE_B3"),
  timeout: optional(duration),
  headers: defaulted(list(header), []),
});

const opentelemetry = object({
  ...upstream,
  maxTagLength: defaulted(integer(0, MAX_UINT32), 0),
  http: optional(
    object({
      path: defaulted(string, ""),
      timeout: optional(duration),
      headers: defaulted(list(header), []),
    }),
  ),
  grpc: optional(
    object({ timeout: optional(duration), initialMetadata: defaulted(list(header), []) }),
  ),
  resourceDetectors: optional(
    object({ environment: optional(anything), dynatrace: optional(anything) }),
  ),
  dynatraceSampler: optional(anything),
  serviceAttributeEnrichment: defaulted(
    oneOf("ISTIO_CANONICAL", "OTEL_SEMANTIC_CONVENTIONS"),
    "ISTIO_CANONICAL",
  ),
});

const fileAccessLog = object({
  path: defaulted(string, ""),
  logFormat: optional(object({ text: optional(string), labels: optional(record(anything)) })),
  omitEmptyValues: defaulted(boolean, false),
});

/** Providers of a sort that we do not know are left aside: whatever names them is not provided for. */
const extensionProvider = object(
  {
    name: defaulted(string, ""),
    envoyExtAuthzHttp: optional(extAuthzHttp),
    envoyExtAuthzGrpc: optional(extAuthzGrpc),
    zipkin: optional(zipkin),
    opentelemetry: optional(opentelemetry),
    envoyFileAccessLog: optional(fileAccessLog),
    prometheus: optional(anything),
  },
  { open: true },
);

const defaultProviders = object(
  {
    tracing: defaulted(strings, []),
    metrics: defaulted(strings, []),
    accessLogging: defaulted(strings, []),
  },
  { open: true },
);

const customTag = object(
  {
    literal: optional(object({ value: required(string) })),
    environment: optional(object({ name: required(string), defaultValue: defaulted(string, "") })),
    header: optional(object({ name: required(string), defaultValue: defaulted(string, "") })),
  },
  { open: true },
);

/** The default settings of proxies, as far as they reach a waypoint's resources. */
const proxyConfig = object(
  {
    tracing: optional(
      object(
        {
          sampling: optional(number(0, 100)),
          maxPathTagLength: defaulted(integer(0, MAX_UINT32), 0),
          customTags: defaulted(record(customTag), {}),
          enableIstioTags: optional(boolean),
        },
        { open: true },
      ),
    ),
  },
  { open: true },
);

/** Most of the configuration is for proxies of other kinds; what is not listed here is not ours to judge. */
const meshConfig = object(
  {
    serviceEntryVisibility: optional(serviceEntryVisibility),
    trustDomainAliases: defaulted(strings, []),
    connectTimeout: optional(duration),
    dnsRefreshRate: optional(duration),
    hboneIdleTimeout: optional(duration),
    tcpKeepalive: optional(tcpKeepalive),
    h2UpgradePolicy: optional(oneOf("DO_NOT_UPGRADE", "UPGRADE")),
    localityLbSetting: optional(localityLbSetting),
    defaultHttpRetryPolicy: optional(httpRetry),
    pathNormalization: optional(
      object({
        normalization: defaulted(
          oneOf("DEFAULT", "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"),
          "DEFAULT",
        ),
      }),
    ),
    accessLogFile: defaulted(string, ""),
    accessLogFormat: defaulted(string, ""),
    accessLogEncoding: defaulted(oneOf("TEXT", "JSON"), "TEXT"),
    disableEnvoyListenerLog: defaulted(boolean, false),
    enableTracing: optional(boolean),
    defaultProviders: optional(defaultProviders),
    extensionProviders: defaulted(list(extensionProvider), []),
    defaultConfig: optional(proxyConfig),
    defaultServiceExportTo: defaulted(strings, []),
    defaultVirtualServiceExportTo: defaulted(strings, []),
    defaultDestinationRuleExportTo: defaulted(strings, []),
    tlsDefaults: optional(
      object(
        { cipherSuites: defaulted(strings, []), ecdhCurves: defaulted(strings, []) },
        { open: true },
      ),
    ),
  },
  { open: true },
);

export type MeshConfig = Infer<typeof meshConfig>;
export type ExtensionProvider = Infer<typeof extensionProvider>;
export type ExtAuthzHttpProvider = Infer<typeof extAuthzHttp>;
export type ExtAuthzGrpcProvider = Infer<typeof extAuthzGrpc>;
export type ZipkinProvider = Infer<typeof zipkin>;
export type OpenTelemetryProvider = Infer<typeof opentelemetry>;
export type FileAccessLogProvider = Infer<typeof fileAccessLog>;
export type ProviderHeader = Infer<typeof header>;

/** Undefined when the text cannot be read; `problems` then says why. */
export function parseMeshConfig(text: string, problems: Problem[]): MeshConfig | undefined {
  const path = ["data", MESH_CONFIG_KEY];
  let value: unknown;
  try {
    value = parse(text, { maxAliasCount: 100 });
  } catch (thrown) {
    problems.push({ path, reason: thrown instanceof Error ? thrown.message : String(thrown) });
    return undefined;
  }
  return meshConfig.decode(value ?? {}, path, problems);
}
