/** The mesh configuration with the reference's defaults filled in. */
import type {
  LocalityLbSpec,
  TcpKeepaliveSpec,
} from "../../../shared/objects/kinds/destination-rule.ts";
import {
  type ExtensionProvider,
  MESH_CONFIG_KEY,
  MESH_CONFIG_NAME,
  type MeshConfig,
  parseMeshConfig,
} from "../../../shared/objects/kinds/mesh-config.ts";
import type { RetrySpec } from "../../../shared/objects/kinds/virtual-service.ts";
import type { ObjectTable } from "../objects.ts";
import type { MeshSettings } from "../settings.ts";

export interface Mesh {
  readonly trustDomain: string;
  /** The mesh's own domain first, then its aliases. */
  readonly trustDomains: readonly string[];
  readonly rootNamespace: string;
  readonly clusterDomain: string;
  readonly clusterId: string;
  readonly connectTimeoutMs: number;
  readonly dnsRefreshRateMs: number;
  readonly hboneIdleTimeoutMs: number;
  readonly tcpKeepalive: TcpKeepaliveSpec | undefined;
  readonly upgradesToHttp2: boolean;
  readonly localityLb: LocalityLbSpec;
  readonly defaultRetry: RetrySpec | undefined;
  readonly normalization: NonNullable<MeshConfig["pathNormalization"]>["normalization"];
  readonly accessLog: AccessLogDefaults;
  readonly tracingEnabled: boolean;
  readonly providers: readonly ExtensionProvider[];
  readonly defaultProviders: NonNullable<MeshConfig["defaultProviders"]>;
  readonly tracing: NonNullable<MeshConfig["defaultConfig"]>["tracing"];
  readonly exportTo: {
    readonly virtualService: readonly string[];
    readonly destinationRule: readonly string[];
  };
  readonly tlsDefaults: MeshConfig["tlsDefaults"];
}

export interface AccessLogDefaults {
  readonly file: string;
  readonly format: string;
  readonly encoding: "TEXT" | "JSON";
  readonly listeners: boolean;
}

const HOUR_MS = 3_600_000;

/** Providers that are there without being configured. */
const BUILT_IN: readonly ExtensionProvider[] = [
  { name: "prometheus", prometheus: {} },
  { name: "envoy", envoyFileAccessLog: { path: "/dev/stdout", omitEmptyValues: false } },
];

export function meshOf(objects: ObjectTable, settings: MeshSettings): Mesh {
  const text = objects.find("ConfigMap", settings.rootNamespace, MESH_CONFIG_NAME)?.data[
    MESH_CONFIG_KEY
  ];
  return resolveMesh(text === undefined ? undefined : parseMeshConfig(text, []), settings);
}

export function resolveMesh(config: MeshConfig | undefined, settings: MeshSettings): Mesh {
  const providers = config?.extensionProviders ?? [];
  const named = new Set(providers.map(({ name }) => name));
  const defaults = config?.defaultProviders;
  return {
    trustDomain: settings.trustDomain,
    trustDomains: [settings.trustDomain, ...(config?.trustDomainAliases ?? [])],
    rootNamespace: settings.rootNamespace,
    clusterDomain: settings.clusterDomain,
    clusterId: settings.clusterId,
    connectTimeoutMs: config?.connectTimeout ?? 10_000,
    dnsRefreshRateMs: config?.dnsRefreshRate ?? 60_000,
    hboneIdleTimeoutMs: config?.hboneIdleTimeout ?? HOUR_MS,
    tcpKeepalive: config?.tcpKeepalive,
    upgradesToHttp2: config?.h2UpgradePolicy === "UPGRADE",
    localityLb: config?.localityLbSetting ?? {
      enabled: true,
      distribute: [],
      failover: [],
      failoverPriority: [],
    },
    defaultRetry: config?.defaultHttpRetryPolicy,
    normalization: config?.pathNormalization?.normalization ?? "DEFAULT",
    accessLog: {
      file: config?.accessLogFile ?? "",
      format: config?.accessLogFormat ?? "",
      encoding: config?.accessLogEncoding ?? "TEXT",
      listeners: config?.disableEnvoyListenerLog !== true,
    },
    tracingEnabled: config?.enableTracing ?? true,
    providers: [...BUILT_IN.filter(({ name }) => !named.has(name)), ...providers],
    defaultProviders: {
      tracing: defaults?.tracing ?? [],
      accessLogging: defaults?.accessLogging ?? [],
      metrics: orIfEmpty(defaults?.metrics, ["prometheus"]),
    },
    tracing: config?.defaultConfig?.tracing,
    exportTo: {
      virtualService: config?.defaultVirtualServiceExportTo ?? [],
      destinationRule: config?.defaultDestinationRuleExportTo ?? [],
    },
    tlsDefaults: config?.tlsDefaults,
  };
}

function orIfEmpty<T>(given: readonly T[] | undefined, otherwise: readonly T[]): readonly T[] {
  return given === undefined || given.length === 0 ? otherwise : given;
}
