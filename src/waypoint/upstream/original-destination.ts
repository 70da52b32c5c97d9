/** Endpoints of clusters that go where the client wanted: made when asked for, forgotten when unused. */
import type { Clock, Timer } from "../../shared/base/clock.ts";
import {
  formatSocketAddress,
  parseAuthority,
  type SocketAddress,
} from "../../shared/net/authority.ts";
import { parseIp } from "../../shared/net/ip.ts";
import type { EndpointConfig, EndpointTarget } from "../model/endpoints.ts";
import { LiveEndpoint, type PeerOf } from "./live-endpoint.ts";

const hbonePort = 15008;

/** How the address of a request becomes an endpoint. */
export interface DynamicRules {
  readonly tunnelled: boolean;
  readonly portOverride: number | undefined;
  readonly cleanupMs: number;
}

export interface DynamicDeps {
  readonly clock: Clock;
  readonly peerOf: PeerOf;
  readonly added: (endpoint: LiveEndpoint) => void;
  readonly removed: (endpoint: LiveEndpoint) => void;
}

export class DynamicEndpoints {
  readonly #rules: DynamicRules;
  readonly #deps: DynamicDeps;
  readonly #byAddress = new Map<string, LiveEndpoint>();
  readonly #timer: Timer;

  constructor(rules: DynamicRules, deps: DynamicDeps) {
    this.#rules = rules;
    this.#deps = deps;
    this.#timer = deps.clock.every(rules.cleanupMs, () => this.#forgetUnused());
  }

  all(): IterableIterator<LiveEndpoint> {
    return this.#byAddress.values();
  }

  byAddress(destination: { readonly ip: string; readonly port: number }): LiveEndpoint | undefined {
    const ip = parseIp(destination.ip);
    if (ip === undefined) return undefined;
    const address = { ip, port: this.#rules.portOverride ?? destination.port };
    const key = formatSocketAddress(address);
    return this.#endpoint(key, () => this.#configFor(address, key));
  }

  /** `name` or `name:port`, as a request's authority has it. */
  byName(authority: string, defaultPort: number): LiveEndpoint | undefined {
    const parsed = parseAuthority(authority) ?? parseAuthority(`${authority}:${defaultPort}`);
    if (parsed === undefined) return undefined;
    if (parsed.kind === "address") return this.byAddress(parsed.address);
    const { host, port } = parsed;
    const key = `${host}:${port}`;
    return this.#endpoint(key, () => configOf(key, { kind: "name", host, port }));
  }

  close(): void {
    this.#timer.cancel();
    for (const endpoint of this.#byAddress.values()) this.#remove(endpoint);
    this.#byAddress.clear();
  }

  #endpoint(key: string, config: () => EndpointConfig): LiveEndpoint {
    const { clock, peerOf, added } = this.#deps;
    const nowMs = clock.monotonicMs();
    let endpoint = this.#byAddress.get(key);
    if (endpoint === undefined) {
      const place = { config: config(), locality: nowhere, priority: 0 };
      endpoint = new LiveEndpoint(place, nowMs, peerOf);
      this.#byAddress.set(key, endpoint);
      added(endpoint);
    }
    endpoint.lastUsedMs = nowMs;
    return endpoint;
  }

  #configFor(address: SocketAddress, key: string): EndpointConfig {
    if (!this.#rules.tunnelled) return configOf(key, { kind: "tcp", address, additional: [] });
    // Printed as the one static endpoint of `encap` is, which has no id.
    return configOf("envoy://connect_originate/", {
      kind: "hbone",
      address,
      tunnel: { ip: address.ip, port: hbonePort },
    });
  }

  #forgetUnused(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    for (const [key, endpoint] of this.#byAddress) {
      const isUsed = endpoint.counts.connectionsActive > 0 || endpoint.active > 0;
      if (isUsed || nowMs - endpoint.lastUsedMs < this.#rules.cleanupMs) continue;
      this.#byAddress.delete(key);
      this.#remove(endpoint);
    }
  }

  #remove(endpoint: LiveEndpoint): void {
    endpoint.retire();
    this.#deps.removed(endpoint);
  }
}

const nowhere = { region: "", zone: "", subZone: "" };
const noLabels: ReadonlyMap<string, string> = new Map();

function configOf(hostText: string, target: EndpointTarget): EndpointConfig {
  return {
    hostText,
    target,
    hostname: "",
    weight: 1,
    health: "healthy",
    hashKey: undefined,
    workload: undefined,
    transportMatch: noLabels,
  };
}
