/**
 * The settings of a ztunnel, decoded once, complete and frozen. Sources are handed in, so a test is a map and two
 * functions. A wrong setting stops the start, with all problems in one message.
 */
import { type Decoded, decodeEnv, type Environment, withPrefix } from "../shared/base/env.ts";
import type { GrpcEndpointOptions } from "../shared/grpc/types.ts";
import type { HboneSettings } from "../shared/hbone/tunnel.ts";
import type { IpAddress } from "../shared/net/ip.ts";
import { ConfigError } from "../shared/settings/config-error.ts";
import {
  controlPlaneUrl,
  fallbackAddress,
  lowerKeys,
  type TokenSource,
  tokenSource,
  tokenText,
} from "../shared/settings/control-plane.ts";
import { freezeDeep } from "../shared/settings/freeze.ts";
import { type ProxyConfig, parseProxyConfig } from "../shared/settings/proxy-config.ts";
import { variables, type WorkloadInfo } from "./variables.ts";
import { resolveWorkerThreads } from "./worker-threads.ts";

export interface ConfigSources {
  readonly env: Environment;
  /** Text of a file, undefined when there is none. */
  readonly readFile: (path: string) => string | undefined;
  readonly fileExists: (path: string) => boolean;
  readonly cpus: number;
}

export interface KeepaliveSettings {
  readonly idleMs: number;
  readonly intervalMs: number;
  readonly retries: number;
}

export type LocalXdsSource =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "inline"; readonly yaml: string };

export interface ZtunnelConfig {
  readonly proxy: boolean;
  readonly dnsProxy: boolean;
  readonly dnsProxyPort: number;
  readonly proxyMode: "shared" | "dedicated";
  readonly proxyWorkload: WorkloadInfo | undefined;
  readonly network: string;
  readonly localNode: string | undefined;
  readonly localIp: IpAddress | undefined;
  readonly clusterId: string;
  readonly clusterDomain: string;
  /** Undefined: xDS is off. */
  readonly xds: GrpcEndpointOptions | undefined;
  /** Undefined: no certificates can be had. */
  readonly ca: GrpcEndpointOptions | undefined;
  readonly auth: TokenSource;
  readonly xdsOnDemand: boolean;
  readonly localXds: LocalXdsSource | undefined;
  readonly preferredServiceNamespace: string | undefined;
  readonly secretTtlMs: number;
  readonly crlPath: string | undefined;
  /** Windows and frame size; the rest of the session settings differs by role. */
  readonly hbone: Pick<
    HboneSettings,
    "streamWindowBytes" | "connectionWindowBytes" | "maxFrameBytes"
  >;
  readonly poolMaxStreams: number;
  readonly poolUnusedReleaseMs: number;
  readonly connectTimeoutMs: number;
  /** Undefined: off. */
  readonly keepalive: KeepaliveSettings | undefined;
  readonly userTimeoutEnabled: boolean;
  readonly selfTerminationDeadlineMs: number;
  readonly originalSource: "auto" | "required" | "never";
  readonly inpodUds: string;
  readonly inpodPortReuse: boolean;
  readonly packetMark: number | undefined;
  readonly ipv6Enabled: boolean;
  readonly localhostAppTunnel: boolean;
  readonly responseBaggage: boolean;
  readonly socks5: boolean;
  readonly tls12: boolean;
  readonly compliancePolicy: "pqc" | undefined;
  readonly policyInfoLogging: boolean;
  readonly logFormat: "plain" | "json";
  readonly logFilter: string;
  readonly numWorkerThreads: number;
  readonly adminPort: number;
  readonly statsPort: number;
  readonly readinessPort: number;
  readonly outboundPort: number;
  readonly inboundPlaintextPort: number;
  readonly inboundPort: number;
  readonly socks5Port: number;
  /** What `istio_build` calls the version. */
  readonly istioVersion: string | undefined;
  readonly pod: {
    readonly name: string | undefined;
    readonly namespace: string | undefined;
    readonly serviceAccount: string | undefined;
    readonly trustDomain: string;
  };
  /** Metadata of the xDS node: ISTIO_META_* and proxyMetadata. */
  readonly proxyMetadata: ReadonlyMap<string, string>;
  /** ISTIO_METAJSON_*, parsed. */
  readonly proxyMetadataJson: ReadonlyMap<string, unknown>;
  readonly decisionRingSize: number;
  /** 0: no rehearsal. */
  readonly rehearsalMs: number;
}

const meshFile = "./etc/istio/config/mesh";

type Values = Decoded<typeof variables>;

/** The time that running connections get at shutdown: a little less than the grace period of the pod. */
export function terminationDeadlineMs(
  explicitMs: number | undefined,
  graceSeconds: number | undefined,
): number {
  if (explicitMs !== undefined) return explicitMs;
  if (graceSeconds === undefined) return 5000;
  return 1000 * Math.max(1, graceSeconds > 10 ? graceSeconds - 5 : graceSeconds - 1);
}

/** `host:port` or a port alone; only the port can be chosen, the listener stays on loopback. */
function dnsPort(text: string | undefined, problems: string[]): number {
  if (text === undefined) return 15053;
  const digits = text.slice(text.lastIndexOf(":") + 1);
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : 0;
  if (port >= 1 && port <= 65535) return port;
  problems.push(`ISTIO_META_DNS_PROXY_ADDR: expected host:port, not ${JSON.stringify(text)}`);
  return 15053;
}

function jsonMetadata(
  raw: ReadonlyMap<string, string>,
  problems: string[],
): ReadonlyMap<string, unknown> {
  const parsed = new Map<string, unknown>();
  for (const [key, text] of raw) {
    try {
      parsed.set(key, JSON.parse(text) as unknown);
    } catch {
      problems.push(`ISTIO_METAJSON_${key}: expected JSON`);
    }
  }
  return parsed;
}

/** Settings that only make sense, or only make no sense, together. */
function crossChecks(values: Values, dnsProxy: boolean, problems: string[]): void {
  if (!values.enableProxy && !dnsProxy)
    problems.push("ENABLE_PROXY: the proxy and the DNS proxy cannot both be off");
  if (values.proxyMode === "dedicated" && values.proxyWorkload === undefined)
    problems.push("PROXY_WORKLOAD_INFO: required when PROXY_MODE is dedicated");
  if (values.localXds !== undefined && values.localXdsPath !== undefined)
    problems.push("LOCAL_XDS: cannot be set together with LOCAL_XDS_PATH");
  if (values.xdsOnDemand && dnsProxy)
    problems.push("XDS_ON_DEMAND: DNS proxy does not currently support on-demand mode");
  if (values.fakeCa) problems.push("FAKE_CA: only test builds of the reference have one");
}

function localXds(values: Values): LocalXdsSource | undefined {
  if (values.localXdsPath !== undefined) return { kind: "file", path: values.localXdsPath };
  return values.localXds === undefined ? undefined : { kind: "inline", yaml: values.localXds };
}

function keepalive(values: Values): KeepaliveSettings | undefined {
  if (!values.keepaliveEnabled) return undefined;
  return {
    idleMs: values.keepaliveTimeMs,
    intervalMs: values.keepaliveIntervalMs,
    retries: values.keepaliveRetries,
  };
}

function assemble(
  values: Values,
  proxyConfig: ProxyConfig,
  sources: ConfigSources,
  problems: string[],
): ZtunnelConfig {
  const metadata = new Map([
    ...[...proxyConfig.proxyMetadata].map(
      ([key, value]) => [key.replace(/^ISTIO_META_/, ""), value] as const,
    ),
    ...withPrefix(sources.env, "ISTIO_META_"),
  ]);
  const dnsProxy = (metadata.get("DNS_CAPTURE") ?? "true").toLowerCase() === "true";
  crossChecks(values, dnsProxy, problems);
  const fallback = fallbackAddress(proxyConfig.discoveryAddress, values.kubernetesHost);
  const auth = tokenSource(values.authToken, sources.fileExists);
  const endpoint = (
    service: "XDS" | "CA",
    address: string | undefined,
    rootCa: string,
    altHostname: string | undefined,
  ): GrpcEndpointOptions | undefined => {
    const url = controlPlaneUrl(`${service}_ADDRESS`, address, fallback, problems);
    if (url === undefined) return undefined;
    return {
      address: url,
      rootCa,
      altHostname,
      authToken: tokenText(auth),
      clusterId: values.clusterId,
      headers: lowerKeys(withPrefix(sources.env, `${service}_HEADER_`)),
    };
  };
  return {
    proxy: values.enableProxy,
    dnsProxy,
    dnsProxyPort: dnsPort(metadata.get("DNS_PROXY_ADDR"), problems),
    proxyMode: values.proxyMode,
    proxyWorkload: values.proxyWorkload,
    network: values.network,
    localNode: values.nodeName,
    localIp: values.instanceIp,
    clusterId: values.clusterId,
    clusterDomain: values.clusterDomain,
    xds: endpoint("XDS", values.xdsAddress, values.xdsRootCa, values.altXdsHostname),
    ca: endpoint("CA", values.caAddress, values.caRootCa, values.altCaHostname),
    auth,
    xdsOnDemand: values.xdsOnDemand,
    localXds: localXds(values),
    preferredServiceNamespace: values.preferredServiceNamespace,
    secretTtlMs: values.secretTtlMs,
    crlPath: values.crlPath,
    hbone: {
      streamWindowBytes: values.streamWindowBytes,
      connectionWindowBytes: values.connectionWindowBytes,
      maxFrameBytes: values.maxFrameBytes,
    },
    poolMaxStreams: values.poolMaxStreams,
    poolUnusedReleaseMs: values.poolUnusedReleaseMs,
    connectTimeoutMs: values.connectTimeoutMs,
    keepalive: keepalive(values),
    userTimeoutEnabled: values.userTimeoutEnabled,
    selfTerminationDeadlineMs: terminationDeadlineMs(
      values.terminationDeadlineMs,
      values.terminationGracePeriodSeconds,
    ),
    originalSource:
      values.originalSource === undefined ? "auto" : values.originalSource ? "required" : "never",
    inpodUds: values.inpodUds,
    inpodPortReuse: values.inpodPortReuse,
    packetMark: values.packetMark ?? (values.proxyMode === "shared" ? 1337 : undefined),
    ipv6Enabled: values.ipv6Enabled,
    localhostAppTunnel: values.localhostAppTunnel,
    responseBaggage: values.responseBaggage,
    socks5: values.socks5,
    tls12: values.tls12,
    compliancePolicy: values.compliancePolicy,
    policyInfoLogging: values.policyInfoLogging,
    logFormat: values.logFormat,
    logFilter: values.logFilter,
    numWorkerThreads:
      proxyConfig.concurrency !== undefined && values.workerThreads.kind === "auto"
        ? Math.max(1, proxyConfig.concurrency)
        : resolveWorkerThreads(values.workerThreads, {
            cpus: sources.cpus,
            limit: values.cpuLimit,
            request: values.cpuRequest,
          }),
    adminPort: proxyConfig.proxyAdminPort ?? 15000,
    statsPort: proxyConfig.statsPort ?? 15020,
    readinessPort: 15021,
    outboundPort: 15001,
    inboundPlaintextPort: 15006,
    inboundPort: 15008,
    socks5Port: 15080,
    istioVersion: metadata.get("ISTIO_VERSION"),
    pod: {
      name: values.podName,
      namespace: values.podNamespace,
      serviceAccount: values.serviceAccount,
      trustDomain: values.trustDomain,
    },
    proxyMetadata: metadata,
    proxyMetadataJson: jsonMetadata(withPrefix(sources.env, "ISTIO_METAJSON_"), problems),
    decisionRingSize: values.decisionRingSize,
    rehearsalMs: values.rehearsalMs,
  };
}

/** Throws ConfigError with every problem found. */
export function loadConfig(sources: ConfigSources): ZtunnelConfig {
  const { values, problems: wrongVariables } = decodeEnv(sources.env, variables);
  const proxyConfig = parseProxyConfig(sources.readFile(meshFile), values.proxyConfig);
  const problems = [...wrongVariables, ...proxyConfig.problems];
  const config = assemble(values, proxyConfig.config, sources, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  return freezeDeep(config);
}
