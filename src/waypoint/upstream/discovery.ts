/** Where a live cluster's endpoints come from, whatever its kind. */
import type { Clock } from "../../shared/base/clock.ts";
import type { Discovery } from "../model/cluster.ts";
import type { Assignment } from "../model/endpoints.ts";
import type { HostSet } from "./balance/host.ts";
import type { Resolve } from "./dial/resolver.ts";
import { DnsDiscovery } from "./dns-discovery.ts";
import { EndpointSet } from "./endpoint-set.ts";
import type { LiveEndpoint, PeerOf } from "./live-endpoint.ts";
import { DynamicEndpoints } from "./original-destination.ts";
import type { PickFacts } from "./upstream.ts";

export interface DiscoveryDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly resolve: Resolve;
  readonly peerOf: PeerOf;
}

export interface DiscoveryEvents {
  /** Choose anew. */
  readonly changed: () => void;
  readonly added: (endpoint: LiveEndpoint) => void;
  readonly removed: (endpoint: LiveEndpoint) => void;
}

/** How long an unused address of a request is remembered. */
const dynamicCleanupMs = 300_000;

export class ClusterDiscovery {
  readonly #plan: Discovery;
  readonly #deps: DiscoveryDeps;
  readonly #events: DiscoveryEvents;
  readonly #set = new EndpointSet();
  readonly #dynamic: DynamicEndpoints | undefined;
  readonly #dns: DnsDiscovery | undefined;
  readonly #waiting: (() => void)[] = [];

  constructor(plan: Discovery, deps: DiscoveryDeps, events: DiscoveryEvents) {
    this.#plan = plan;
    this.#deps = deps;
    this.#events = events;
    if (plan.kind === "original-destination") this.#dynamic = this.#dynamicWith(plan);
    if (plan.kind === "dynamic")
      this.#dynamic = this.#dynamicWith({
        tunnelled: false,
        portOverride: undefined,
        cleanupMs: dynamicCleanupMs,
      });
    if (plan.kind === "dns")
      this.#dns = new DnsDiscovery(plan, {
        ...deps,
        changed: (assignment) => this.assign(assignment),
      });
  }

  start(): void {
    if (this.#plan.kind === "static") this.assign(this.#plan.assignment);
    this.#dns?.start();
  }

  /** Endpoints are known, or it is known that there are none. */
  get warm(): boolean {
    switch (this.#plan.kind) {
      case "eds":
        return this.#set.assignment !== undefined;
      case "dns":
        return this.#dns?.warm ?? true;
      default:
        return true;
    }
  }

  whenWarm(): Promise<void> {
    if (this.warm) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  get assignment(): Assignment | undefined {
    return this.#set.assignment;
  }

  all(): IterableIterator<LiveEndpoint> {
    return this.#dynamic?.all() ?? this.#set.all();
  }

  hosts(): HostSet<LiveEndpoint> {
    return this.#set.hosts();
  }

  assign(assignment: Assignment): void {
    const { clock, peerOf } = this.#deps;
    const { added, removed } = this.#set.assign(assignment, clock.monotonicMs(), peerOf);
    for (const endpoint of added) this.#events.added(endpoint);
    for (const endpoint of removed) this.#events.removed(endpoint);
    this.#events.changed();
    if (this.warm) for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** The endpoint that the request itself names; undefined: it names none here. */
  forDestination(facts: PickFacts): LiveEndpoint | undefined {
    if (this.#plan.kind === "original-destination")
      return this.#dynamic?.byAddress(facts.downstream.destination);
    if (this.#plan.kind !== "dynamic") return undefined;
    const { destination, requestedServerName } = facts.downstream;
    const isHttp = facts.downstreamProtocol !== undefined;
    const name = isHttp ? facts.authority : requestedServerName;
    return name === undefined ? undefined : this.#dynamic?.byName(name, destination.port);
  }

  close(): void {
    this.#dns?.close();
    this.#dynamic?.close();
    for (const endpoint of this.#set.clear()) this.#events.removed(endpoint);
    this.#events.changed();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #dynamicWith(rules: ConstructorParameters<typeof DynamicEndpoints>[0]): DynamicEndpoints {
    const { clock, peerOf } = this.#deps;
    const { added, removed } = this.#events;
    return new DynamicEndpoints(rules, { clock, peerOf, added, removed });
  }
}
