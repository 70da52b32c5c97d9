/** Clusters as the admin pages and metrics show them. */
import type { ClusterConfig } from "../model/cluster.ts";
import type { EndpointHealth, Locality } from "../model/endpoints.ts";
import type { ClusterCounts } from "./cluster-counts.ts";
import type { OutlierCounts } from "./health/outlier.ts";
import type { LiveCluster } from "./live-cluster.ts";
import type { EndpointCounts, LiveEndpoint } from "./live-endpoint.ts";

export interface EndpointView {
  readonly address: string;
  readonly hostText: string;
  readonly hostname: string;
  readonly weight: number;
  readonly priority: number;
  readonly locality: Locality;
  /** As the control plane says. */
  readonly health: EndpointHealth;
  /** By outlier detection. */
  readonly ejected: boolean;
  readonly ejections: number;
  readonly counts: Readonly<EndpointCounts>;
}

export interface ClusterView {
  readonly name: string;
  readonly statName: string;
  readonly config: ClusterConfig;
  readonly warm: boolean;
  readonly counts: Readonly<ClusterCounts>;
  readonly underWay: {
    readonly connections: number;
    readonly pending: number;
    readonly requests: number;
    readonly retries: number;
  };
  readonly outliers: Readonly<OutlierCounts> | undefined;
  readonly endpoints: readonly EndpointView[];
}

export function viewOf(cluster: LiveCluster): ClusterView {
  const { name, statName, config, counts, breakers, health, discovery } = cluster;
  return {
    name,
    statName,
    config,
    warm: discovery.warm,
    counts: { ...counts },
    underWay: {
      connections: breakers.connections.count,
      pending: breakers.pending.count,
      requests: breakers.requests.count,
      retries: breakers.retries.count,
    },
    outliers: health.outliers,
    endpoints: [...discovery.all()].map(viewOfEndpoint),
  };
}

function viewOfEndpoint(endpoint: LiveEndpoint): EndpointView {
  const { address, hostText, config, place, outlier, counts } = endpoint;
  return {
    address,
    hostText,
    hostname: config.hostname,
    weight: config.weight,
    priority: place.priority,
    locality: place.locality,
    health: config.health,
    ejected: outlier.ejectedAtMs !== undefined,
    ejections: outlier.ejections,
    counts: { ...counts },
  };
}
