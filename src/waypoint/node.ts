/** How a waypoint introduces itself to the control plane (wire/waypoint.md section 2.1). */
import type { JsonValue, XdsNode } from "../shared/xds/types.ts";

export interface NodeFacts {
  readonly pod: {
    readonly name: string;
    readonly namespace: string;
    readonly serviceAccount: string;
    readonly ips: readonly string[];
    readonly nodeName: string | undefined;
  };
  readonly clusterId: string;
  readonly network: string;
  readonly domain: string;
  readonly serviceCluster: string | undefined;
  readonly labels: ReadonlyMap<string, string>;
  readonly annotations: ReadonlyMap<string, string>;
  readonly proxyConfig: Readonly<Record<string, JsonValue>>;
  /** Whatever the pod's author adds; stronger than what we say ourselves. */
  readonly metadata: Readonly<Record<string, JsonValue>>;
}

/**
 * Control planes switch features by the version. One that cannot be read as a number counts as the newest, which is what we
 * want: what we do not understand is refused by name, not by version.
 */
const VERSION = "ambit";

export function nodeOf(facts: NodeFacts): XdsNode {
  const { pod, labels, annotations, proxyConfig } = facts;
  const metadata: Record<string, JsonValue> = {
    NAME: pod.name,
    NAMESPACE: pod.namespace,
    SERVICE_ACCOUNT: pod.serviceAccount,
    INSTANCE_IPS: pod.ips.join(","),
    CLUSTER_ID: facts.clusterId,
    ISTIO_VERSION: VERSION,
    INTERCEPTION_MODE: "REDIRECT",
    METADATA_DISCOVERY: "true",
    ENVOY_STATUS_PORT: 15021,
    ENVOY_PROMETHEUS_PORT: 15090,
    ...(facts.network === "" ? {} : { NETWORK: facts.network }),
    ...(pod.nodeName === undefined ? {} : { NODE_NAME: pod.nodeName }),
    ...(labels.size === 0 ? {} : { LABELS: Object.fromEntries(labels) }),
    ...(annotations.size === 0 ? {} : { ANNOTATIONS: Object.fromEntries(annotations) }),
    ...(Object.keys(proxyConfig).length === 0 ? {} : { PROXY_CONFIG: proxyConfig }),
    ...facts.metadata,
  };
  return {
    id: `waypoint~${pod.ips[0] ?? ""}~${pod.name}.${pod.namespace}~${facts.domain}`,
    cluster: facts.serviceCluster ?? `${pod.serviceAccount}.${pod.namespace}`,
    metadata,
  };
}
