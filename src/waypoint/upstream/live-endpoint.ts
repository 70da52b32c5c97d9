/** An endpoint while the waypoint knows it: its connections, its health, its counts. Outlives updates that keep its address. */

import { formatSocketAddress } from "../../shared/net/authority.ts";
import type {
  EndpointConfig,
  EndpointHealth,
  EndpointTarget,
  Locality,
} from "../model/endpoints.ts";
import type { PeerWorkload } from "../telemetry/record.ts";
import type { Host } from "./balance/host.ts";
import { OutlierRecord } from "./health/outlier-record.ts";
import type { HttpPool } from "./pool/http-pool.ts";
import type { Endpoint, Picked } from "./upstream.ts";

/** As `/clusters` of the reference counts. */
export interface EndpointCounts {
  connectionsTotal: number;
  connectionsActive: number;
  connectFails: number;
  requestsTotal: number;
  requestsActive: number;
  requestSuccesses: number;
  requestErrors: number;
  requestTimeouts: number;
}

export interface EndpointPlace {
  readonly config: EndpointConfig;
  readonly locality: Locality;
  readonly priority: number;
}

/** The workload behind an address, from the index of workloads. */
export type PeerOf = (ip: string) => PeerWorkload | undefined;

export class LiveEndpoint implements Endpoint, Host {
  readonly address: string;
  readonly ip: string;
  readonly port: number;
  readonly hostText: string;
  readonly sinceMs: number;
  readonly outlier = new OutlierRecord();
  readonly pools = new Map<string, HttpPool>();
  readonly counts: EndpointCounts = {
    connectionsTotal: 0,
    connectionsActive: 0,
    connectFails: 0,
    requestsTotal: 0,
    requestsActive: 0,
    requestSuccesses: 0,
    requestErrors: 0,
    requestTimeouts: 0,
  };
  /** What choosing it gives: the same object each time. */
  readonly picked: Picked;
  readonly #peerOf: PeerOf;
  #place: EndpointPlace;
  /** Removed from its cluster; what is under way goes on. */
  gone = false;
  lastUsedMs: number;

  constructor(place: EndpointPlace, nowMs: number, peerOf: PeerOf) {
    const { config } = place;
    const { ip, port } = addressOf(config.target);
    this.ip = ip;
    this.port = port;
    this.address = ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
    this.hostText = config.hostText;
    this.sinceMs = nowMs;
    this.lastUsedMs = nowMs;
    this.#place = place;
    this.#peerOf = peerOf;
    this.picked = { kind: "endpoint", endpoint: this };
  }

  get place(): EndpointPlace {
    return this.#place;
  }

  get config(): EndpointConfig {
    return this.#place.config;
  }

  move(place: EndpointPlace): void {
    this.#place = place;
  }

  /** From the index of workloads, as the reference's filter looks it up. */
  get peer(): PeerWorkload | undefined {
    return this.#peerOf(this.ip);
  }

  get hashKey(): string {
    return this.config.hashKey ?? this.hostText;
  }

  get hostname(): string {
    return this.config.hostname;
  }

  get weight(): number {
    return this.config.weight;
  }

  get priority(): number {
    return this.#place.priority;
  }

  get active(): number {
    return this.counts.requestsActive;
  }

  get health(): EndpointHealth {
    return this.outlier.ejectedAtMs === undefined ? this.config.health : "unhealthy";
  }

  /** No more requests; connections end with their last. */
  retire(): void {
    this.gone = true;
    this.drainPools();
  }

  drainPools(): void {
    for (const pool of [...this.pools.values()]) pool.drain();
    this.pools.clear();
  }
}

/** What names an endpoint across updates: how it is printed and how it is reached. */
export function endpointKey({ hostText, target }: EndpointConfig): string {
  switch (target.kind) {
    case "hbone":
      return `${hostText} ${formatSocketAddress(target.tunnel)}`;
    case "double-hbone":
      return `${hostText} ${target.authority} ${formatSocketAddress(target.gateway)}`;
    case "tcp":
      return [hostText, ...target.additional.map(formatSocketAddress)].join(" ");
    case "name":
    case "internal":
      return hostText;
  }
}

function addressOf(target: EndpointTarget): { readonly ip: string; readonly port: number } {
  switch (target.kind) {
    case "hbone":
    case "tcp":
      return target.address;
    case "double-hbone":
      return target.gateway;
    case "name":
      return { ip: target.host, port: target.port };
    case "internal":
      return { ip: "", port: 0 };
  }
}
