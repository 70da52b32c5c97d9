/**
 * Endpoints by name: an assignment whose names are replaced by the addresses they have at the moment, asked for again and
 * again. A failed question changes nothing but the time of the next; the first one makes the cluster warm whatever it brings.
 */
import type { Clock, Timer } from "../../shared/base/clock.ts";
import { formatSocketAddress } from "../../shared/net/authority.ts";
import type { DnsOptions } from "../model/cluster.ts";
import type { Assignment, EndpointConfig, LocalityEndpoints } from "../model/endpoints.ts";
import type { Resolve, Resolved } from "./dial/resolver.ts";

export interface DnsDeps {
  readonly clock: Clock;
  readonly resolve: Resolve;
  /** [0, 1) */
  readonly random: () => number;
  /** What is known now. */
  readonly changed: (assignment: Assignment) => void;
}

export interface DnsPlan {
  readonly mode: "strict" | "logical";
  readonly assignment: Assignment;
  readonly dns: DnsOptions;
}

interface Name {
  readonly host: string;
  addresses: readonly Resolved[];
  answered: boolean;
  failures: number;
  timer: Timer | undefined;
}

const shortestRefreshMs = 100;

export class DnsDiscovery {
  readonly #plan: DnsPlan;
  readonly #deps: DnsDeps;
  readonly #names = new Map<string, Name>();
  #closed = false;

  constructor(plan: DnsPlan, deps: DnsDeps) {
    this.#plan = plan;
    this.#deps = deps;
    for (const { endpoints } of plan.assignment.localities)
      for (const { target } of endpoints)
        if (target.kind === "name" && !this.#names.has(target.host))
          this.#names.set(target.host, {
            host: target.host,
            addresses: [],
            answered: false,
            failures: 0,
            timer: undefined,
          });
  }

  start(): void {
    if (this.#names.size === 0) this.#deps.changed(this.#plan.assignment);
    for (const name of this.#names.values()) void this.#ask(name);
  }

  /** Every name was asked for once. */
  get warm(): boolean {
    return [...this.#names.values()].every(({ answered }) => answered);
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#names.values()) timer?.cancel();
  }

  async #ask(name: Name): Promise<void> {
    const { dns } = this.#plan;
    const before = addressesOf(name.addresses);
    const wasAnswered = name.answered;
    try {
      name.addresses = await this.#deps.resolve(name.host, dns.family);
      name.failures = 0;
    } catch {
      name.failures++;
    }
    if (this.#closed) return;
    name.answered = true;
    name.timer = this.#deps.clock.after(this.#nextMs(name), () => void this.#ask(name));
    if (!wasAnswered || addressesOf(name.addresses) !== before)
      this.#deps.changed(this.#resolved());
  }

  #nextMs({ failures, addresses }: Name): number {
    const { dns } = this.#plan;
    const jitterMs = this.#deps.random() * dns.jitterMs;
    if (failures > 0) {
      const backoffMs = dns.failureRefreshMs * 2 ** Math.min(failures - 1, 20);
      return Math.min(backoffMs, dns.failureRefreshMaxMs) + jitterMs;
    }
    const ttls = addresses.map(({ ttlMs }) => ttlMs).filter((ttlMs) => ttlMs !== undefined);
    const useTtl = dns.respectTtl && ttls.length > 0;
    const refreshMs = useTtl ? Math.min(...ttls) : dns.refreshMs;
    return Math.max(shortestRefreshMs, refreshMs) + jitterMs;
  }

  #resolved(): Assignment {
    const { assignment } = this.#plan;
    return {
      ...assignment,
      localities: assignment.localities.map(
        (locality): LocalityEndpoints => ({
          ...locality,
          endpoints: locality.endpoints.flatMap((endpoint) => this.#endpoints(endpoint)),
        }),
      ),
    };
  }

  #endpoints(config: EndpointConfig): readonly EndpointConfig[] {
    const { target } = config;
    if (target.kind !== "name") return [config];
    const found = this.#names.get(target.host)?.addresses ?? [];
    const addresses = found.map(({ ip }) => ({ ip, port: target.port }));
    const hostname = config.hostname === "" ? target.host : config.hostname;
    if (this.#plan.mode === "strict")
      return addresses.map((address) => ({
        ...config,
        hostname,
        hostText: formatSocketAddress(address),
        target: { kind: "tcp", address, additional: [] },
      }));
    const [address, ...additional] = addresses;
    if (address === undefined) return [];
    return [
      {
        ...config,
        hostname,
        hostText: formatSocketAddress(address),
        target: { kind: "tcp", address, additional },
      },
    ];
  }
}

/** Their order changes with every answer and means nothing. */
function addressesOf(addresses: readonly Resolved[]): string {
  return addresses
    .map(({ ip }) => ip)
    .sort()
    .join(" ");
}
