/** Counts what happens at one endpoint, for it and for its cluster. */
import type { ClusterCounts } from "./cluster-counts.ts";
import type { LiveEndpoint } from "./live-endpoint.ts";
import type { HttpPool, PoolObserver } from "./pool/http-pool.ts";
import type { UpstreamFailure } from "./upstream.ts";

export class EndpointObserver implements PoolObserver {
  readonly #endpoint: LiveEndpoint;
  readonly #counts: ClusterCounts;
  readonly #connected: (endpoint: LiveEndpoint) => void;

  constructor(
    endpoint: LiveEndpoint,
    counts: ClusterCounts,
    connected: (endpoint: LiveEndpoint) => void,
  ) {
    this.#endpoint = endpoint;
    this.#counts = counts;
    this.#connected = connected;
  }

  requestStarted(): void {
    this.#counts.upstreamRqTotal++;
    this.#counts.upstreamRqActive++;
    this.#endpoint.counts.requestsTotal++;
    this.#endpoint.counts.requestsActive++;
  }

  requestEnded(): void {
    this.#counts.upstreamRqActive--;
    this.#endpoint.counts.requestsActive--;
  }

  connectionOpened(): void {
    this.#counts.upstreamCxTotal++;
    this.#counts.upstreamCxActive++;
    this.#endpoint.counts.connectionsTotal++;
    this.#endpoint.counts.connectionsActive++;
    this.#connected(this.#endpoint);
  }

  connectionClosed(): void {
    this.#counts.upstreamCxActive--;
    this.#endpoint.counts.connectionsActive--;
  }

  connectFailed({ kind }: UpstreamFailure): void {
    this.#counts.upstreamCxTotal++;
    this.#counts.upstreamCxConnectFail++;
    if (kind === "connect-timeout") this.#counts.upstreamCxConnectTimeout++;
    this.#endpoint.counts.connectionsTotal++;
    this.#endpoint.counts.connectFails++;
  }

  overflowed(what: "connection" | "pending" | "request"): void {
    if (what === "connection") this.#counts.upstreamCxOverflow++;
    else this.#counts.upstreamRqPendingOverflow++;
  }

  poolEmpty(pool: HttpPool): void {
    const { pools } = this.#endpoint;
    for (const [key, each] of pools) if (each === pool) pools.delete(key);
  }
}
