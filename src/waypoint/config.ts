/**
 * The settings of a waypoint, decoded once, complete and frozen: environment, command line and volumes of the reference's pod
 * contract (wire/waypoint.md section 1.6). Sources are handed in; a wrong setting stops the start, with all problems at once.
 */
import { type Decoded, decodeEnv, type Environment, withPrefix } from "../shared/base/env.ts";
import type { GrpcEndpointOptions } from "../shared/grpc/types.ts";
import type { SpiffeIdentity } from "../shared/identity/spiffe.ts";
import { ConfigError } from "../shared/settings/config-error.ts";
import {
  controlPlaneUrl,
  fallbackAddress,
  lowerKeys,
  tokenSource,
  tokenText,
} from "../shared/settings/control-plane.ts";
import { freezeDeep } from "../shared/settings/freeze.ts";
import { type ParsedProxyConfig, parseProxyConfig } from "../shared/settings/proxy-config.ts";
import type { JsonValue, XdsNode } from "../shared/xds/types.ts";
import { type PodArguments, readArguments } from "./arguments.ts";
import { histogramBuckets } from "./histogram-buckets.ts";
import { nodeOf } from "./node.ts";
import { readPodInfo } from "./pod-info.ts";
import { variables } from "./variables.ts";

export interface ConfigSources {
  readonly env: Environment;
  /** The command line after `ambit waypoint`. */
  readonly args: readonly string[];
  /** Text of a file, undefined when there is none. */
  readonly readFile: (path: string) => string | undefined;
  readonly fileExists: (path: string) => boolean;
}

export interface WaypointPorts {
  /** Loopback: everything for operators. */
  readonly admin: number;
  /** `/stats/prometheus`, readiness and shutdown, where the agent of the reference has them. */
  readonly status: number;
  /** The probes' port. */
  readonly readiness: number;
  /** `/stats/prometheus` alone. */
  readonly stats: number;
}

export interface WaypointConfig {
  readonly pod: {
    readonly name: string;
    readonly namespace: string;
    readonly serviceAccount: string;
    readonly ips: readonly string[];
    readonly nodeName: string | undefined;
  };
  readonly identity: SpiffeIdentity;
  readonly clusterId: string;
  readonly network: string;
  readonly xds: GrpcEndpointOptions;
  readonly ca: GrpcEndpointOptions;
  /** How this proxy introduces itself. */
  readonly node: XdsNode;
  readonly xdsOnDemand: boolean;
  readonly secretTtlMs: number;
  readonly compliancePolicy: "pqc" | undefined;
  readonly tls12: boolean;
  readonly crlPath: string | undefined;
  readonly windows: {
    readonly streamWindowBytes: number;
    readonly connectionWindowBytes: number;
  };
  readonly ipv6Enabled: boolean;
  readonly logFormat: "plain" | "json";
  readonly logFilter: string;
  readonly drain: {
    /** New connections are still taken for this long. */
    readonly acceptMs: number;
    /** Everything is cut after this. */
    readonly deadlineMs: number;
  };
  readonly warmingDeadlineMs: number;
  /** The ztunnel of this pod ends tunnels and hands connections to this port; undefined: we end them. */
  readonly sandwichPort: number | undefined;
  readonly ports: WaypointPorts;
  readonly decisionRingSize: number;
  /** Of the istio_* histograms; undefined: the reference's. */
  readonly histogramBuckets: readonly number[] | undefined;
}

const meshFile = "./etc/istio/config/mesh";
const labelsFile = "./etc/istio/pod/labels";
const annotationsFile = "./etc/istio/pod/annotations";
const bucketsAnnotation = "sidecar.istio.io/statsHistogramBuckets";

type Values = Decoded<typeof variables>;

/** What a start cannot do without. */
function demanded(values: Values, problems: string[]): WaypointConfig["pod"] {
  const need = (name: string, value: string | undefined, why: string): string => {
    if (value === undefined) problems.push(`${name}: required, ${why}`);
    return value ?? "";
  };
  if (values.instanceIps === undefined)
    problems.push("INSTANCE_IP: required, the control plane finds this pod by its address");
  return {
    name: need("POD_NAME", values.podName, "it is part of the node's name"),
    namespace: need("POD_NAMESPACE", values.podNamespace, "it is part of our identity"),
    serviceAccount: need("SERVICE_ACCOUNT", values.serviceAccount, "it is our identity"),
    ips: values.instanceIps ?? [],
    nodeName: values.nodeName,
  };
}

function endpointsOf(
  values: Values,
  parsed: ParsedProxyConfig,
  sources: ConfigSources,
  problems: string[],
): Pick<WaypointConfig, "xds" | "ca"> {
  const fallback = fallbackAddress(parsed.config.discoveryAddress, values.kubernetesHost);
  const authToken = tokenText(tokenSource(values.authToken, sources.fileExists));
  const endpoint = (
    service: "XDS" | "CA",
    address: string | undefined,
    rootCa: string,
    altHostname: string | undefined,
  ): GrpcEndpointOptions => {
    const url = controlPlaneUrl(`${service}_ADDRESS`, address, fallback, problems);
    if (url === undefined && address === "")
      problems.push(`${service}_ADDRESS: a waypoint cannot do without it`);
    return {
      address: url ?? "",
      rootCa,
      altHostname,
      authToken,
      clusterId: values.clusterId,
      headers: lowerKeys(withPrefix(sources.env, `${service}_HEADER_`)),
    };
  };
  return {
    xds: endpoint("XDS", values.xdsAddress, values.xdsRootCa, values.altXdsHostname),
    ca: endpoint("CA", values.caAddress, values.caRootCa, values.altCaHostname),
  };
}

/** ISTIO_META_*, ISTIO_METAJSON_* and proxyMetadata of ProxyConfig. */
function freeMetadata(
  parsed: ParsedProxyConfig,
  env: Environment,
  problems: string[],
): Readonly<Record<string, JsonValue>> {
  const metadata: Record<string, JsonValue> = {};
  for (const [key, value] of parsed.config.proxyMetadata)
    metadata[key.replace(/^ISTIO_META_/, "")] = value;
  for (const [key, value] of withPrefix(env, "ISTIO_META_")) metadata[key] = value;
  for (const [key, text] of withPrefix(env, "ISTIO_METAJSON_"))
    try {
      metadata[key] = JSON.parse(text) as JsonValue;
    } catch {
      problems.push(`ISTIO_METAJSON_${key}: expected JSON`);
    }
  return metadata;
}

function drainOf(values: Values, parsed: ParsedProxyConfig): WaypointConfig["drain"] {
  const grace = values.terminationGracePeriodSeconds;
  const deadlineMs =
    values.terminationDeadlineMs ?? 1000 * Math.max(1, grace > 10 ? grace - 5 : grace - 1);
  const acceptMs = values.terminationDrainMs ?? parsed.config.terminationDrainMs ?? 5000;
  return { acceptMs: Math.min(acceptMs, deadlineMs), deadlineMs };
}

function assemble(
  values: Values,
  args: PodArguments,
  parsed: ParsedProxyConfig,
  sources: ConfigSources,
  problems: string[],
): WaypointConfig {
  const pod = demanded(values, problems);
  const info = (path: string): ReadonlyMap<string, string> =>
    readPodInfo(path, sources.readFile(path), problems);
  const annotations = info(annotationsFile);
  const node = nodeOf({
    pod,
    clusterId: values.clusterId,
    network: values.network,
    domain: args.domain ?? `${pod.namespace}.svc.${values.clusterDomain}`,
    serviceCluster: args.serviceCluster,
    labels: info(labelsFile),
    annotations,
    // JSON text cannot hold anything else.
    proxyConfig: parsed.override as Readonly<Record<string, JsonValue>>,
    metadata: freeMetadata(parsed, sources.env, problems),
  });
  const { namespace, serviceAccount } = pod;
  const binding = annotations.get("ambient.istio.io/waypoint-inbound-binding");
  return {
    pod,
    identity: { trustDomain: values.trustDomain, namespace, serviceAccount },
    clusterId: values.clusterId,
    network: values.network,
    ...endpointsOf(values, parsed, sources, problems),
    node,
    xdsOnDemand: values.xdsOnDemand,
    secretTtlMs: values.secretTtlMs,
    compliancePolicy: values.compliancePolicy,
    tls12: values.tls12,
    crlPath: values.crlPath,
    windows: {
      streamWindowBytes: values.streamWindowBytes,
      connectionWindowBytes: values.connectionWindowBytes,
    },
    ipv6Enabled: values.ipv6Enabled,
    logFormat: args.logAsJson ? "json" : values.logFormat,
    logFilter: values.logFilter ?? args.logFilter ?? "info",
    drain: drainOf(values, parsed),
    warmingDeadlineMs: values.warmingDeadlineMs,
    sandwichPort: sandwichPortOf(binding, problems),
    ports: {
      admin: parsed.config.proxyAdminPort ?? 15000,
      status: parsed.config.statusPort ?? 15020,
      readiness: 15021,
      stats: 15090,
    },
    decisionRingSize: values.decisionRingSize,
    histogramBuckets: histogramBuckets(
      `${annotationsFile}: ${bucketsAnnotation}`,
      annotations.get(bucketsAnnotation),
      problems,
    ),
  };
}

/** Without the PROXY protocol we would not know who comes, nor where to. */
function sandwichPortOf(binding: string | undefined, problems: string[]): number | undefined {
  if (binding === undefined) return undefined;
  const port = Number(/^PROXY\/([0-9]{1,5})$/.exec(binding)?.[1]);
  if (port > 0 && port < 65_536) return port;
  problems.push(
    `${annotationsFile}: ambient.istio.io/waypoint-inbound-binding: expected PROXY/<port>, not ${binding}`,
  );
  return undefined;
}

/** Throws ConfigError with every problem found. */
export function loadConfig(sources: ConfigSources): WaypointConfig {
  const { values, problems: wrongVariables } = decodeEnv(sources.env, variables);
  const args = readArguments(sources.args);
  const parsed = parseProxyConfig(sources.readFile(meshFile), values.proxyConfig);
  const problems = [...args.problems, ...wrongVariables, ...parsed.problems];
  const config = assemble(values, args, parsed, sources, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  return freezeDeep(config);
}
