/** A cluster at work: chooses endpoints, opens requests and connections on them, and learns from how they end. */
import type { Clock } from "../../shared/base/clock.ts";
import type { RequestHead } from "../http/message.ts";
import type { BodyWriter } from "../http/stream.ts";
import type { ClusterConfig } from "../model/cluster.ts";
import type { Assignment } from "../model/endpoints.ts";
import { Balancer } from "./balance/balancer.ts";
import { type ClusterCounts, newCounts } from "./cluster-counts.ts";
import { dialRequest, isShared, poolFor } from "./cluster-pools.ts";
import type { Dial, Dialed } from "./dial/dial.ts";
import { asUpstreamError, upstreamError } from "./dial/failure.ts";
import type { Resolve } from "./dial/resolver.ts";
import { ClusterDiscovery } from "./discovery.ts";
import { EndpointObserver } from "./endpoint-observer.ts";
import { Breakers } from "./health/breakers.ts";
import { ClusterHealth } from "./health/cluster-health.ts";
import type { LiveEndpoint, PeerOf } from "./live-endpoint.ts";
import type { OpenCodec } from "./pool/codecs.ts";
import type {
  AttemptOutcome,
  Cluster,
  Endpoint,
  Picked,
  PickFacts,
  RetryPermit,
  UpstreamReceiver,
} from "./upstream.ts";

export interface ClusterDeps {
  readonly clock: Clock;
  /** [0, 1) */
  readonly random: () => number;
  readonly dial: Dial;
  readonly openCodec: OpenCodec;
  readonly resolve: Resolve;
  readonly peerOf: PeerOf;
}

const nobody: Picked = { kind: "none", flag: "UH", details: "no_healthy_upstream" };

export class LiveCluster implements Cluster {
  readonly name: string;
  readonly counts: ClusterCounts = newCounts();
  readonly breakers: Breakers;
  readonly health: ClusterHealth;
  readonly discovery: ClusterDiscovery;
  readonly #deps: ClusterDeps;
  readonly #observers = new WeakMap<LiveEndpoint, EndpointObserver>();
  readonly #nowMs: () => number;
  #config: ClusterConfig;
  #sharedPools: boolean;
  #balancer: Balancer<LiveEndpoint> | undefined;

  constructor(config: ClusterConfig, deps: ClusterDeps) {
    this.name = config.name;
    this.#config = config;
    this.#deps = deps;
    this.#nowMs = () => deps.clock.monotonicMs();
    this.#sharedPools = isShared(config);
    this.breakers = new Breakers(config.breakers);
    const changed = (): void => {
      this.#balancer = undefined;
    };
    this.health = new ClusterHealth(config.outlier, deps, changed);
    this.discovery = new ClusterDiscovery(config.discovery, deps, {
      changed,
      added: (endpoint) => this.health.add(endpoint),
      removed: (endpoint) => this.health.remove(endpoint),
    });
    this.discovery.start();
  }

  get config(): ClusterConfig {
    return this.#config;
  }

  get service(): Cluster["service"] {
    return this.#config.service;
  }

  get statName(): string {
    return this.#config.statName;
  }

  /** New settings; what they do not touch goes on. The caller makes a new cluster when the discovery changes. */
  reconfigure(config: ClusterConfig, transportChanged: boolean): void {
    this.#config = config;
    this.#sharedPools = isShared(config);
    this.breakers.limits = config.breakers;
    this.health.reconfigure(config.outlier);
    this.#balancer = undefined;
    if (transportChanged) for (const endpoint of this.discovery.all()) endpoint.drainPools();
  }

  assign(assignment: Assignment): void {
    this.counts.updates++;
    this.discovery.assign(assignment);
  }

  /** Cuts what is under way on endpoints that are still known. */
  cut(detail: string): void {
    for (const endpoint of this.discovery.all())
      for (const pool of [...endpoint.pools.values()]) pool.destroy(detail);
  }

  close(): void {
    this.discovery.close();
    this.health.close();
  }

  // Cluster

  tryStartRetry(): RetryPermit | undefined {
    const { breakers, counts } = this;
    if (!breakers.mayRetry) {
      counts.upstreamRqRetryOverflow++;
      return undefined;
    }
    counts.upstreamRqRetry++;
    breakers.retries.take();
    let isHeld = true;
    return {
      release: () => {
        if (isHeld) breakers.retries.give();
        isHeld = false;
      },
    };
  }

  pick(facts: PickFacts): Picked {
    const endpoint = this.discovery.forDestination(facts) ?? this.#balanced(facts);
    return endpoint?.picked ?? nobody;
  }

  request(
    endpoint: Endpoint,
    head: RequestHead,
    endStream: boolean,
    receiver: UpstreamReceiver,
    facts: PickFacts,
  ): BodyWriter {
    const live = this.#own(endpoint);
    const { clock, dial, openCodec } = this.#deps;
    const pool =
      (this.#sharedPools ? live.pools.get(this.#wire(facts)) : undefined) ??
      poolFor(this.#config, this.#sharedPools, live, facts, {
        clock,
        dial,
        openCodec,
        breakers: this.breakers,
        observer: this.#observer(live),
      });
    return pool.request(head, endStream, receiver);
  }

  async connect(endpoint: Endpoint, facts: PickFacts, signal: AbortSignal): Promise<Dialed> {
    const live = this.#own(endpoint);
    const observer = this.#observer(live);
    const { connections } = this.breakers;
    if (!this.breakers.mayConnect) {
      observer.overflowed("connection");
      throw upstreamError("overflow", "");
    }
    connections.take();
    try {
      const request = dialRequest(this.#config, live, facts, []);
      const dialed = await this.#deps.dial(request, signal);
      observer.connectionOpened();
      observer.requestStarted();
      whenOver(signal, () => {
        connections.give();
        observer.requestEnded();
        observer.connectionClosed();
      });
      return dialed;
    } catch (thrown) {
      connections.give();
      if (signal.aborted) throw thrown;
      const error = asUpstreamError(thrown);
      observer.connectFailed(error.failure);
      throw error;
    }
  }

  report(endpoint: Endpoint, outcome: AttemptOutcome): void {
    const live = this.#own(endpoint);
    const isFailure = this.health.report(live, outcome);
    if (outcome.kind === "timeout") {
      live.counts.requestTimeouts++;
      this.counts.upstreamRqTimeout++;
    }
    if (!isFailure) live.counts.requestSuccesses++;
    else {
      live.counts.requestErrors++;
      if (outcome.kind === "status") this.counts.upstreamRq5xx++;
    }
  }

  // Choosing.

  #balanced(facts: PickFacts): LiveEndpoint | undefined {
    let balancer = this.#balancer;
    if (balancer === undefined) {
      balancer = new Balancer(this.#config, this.discovery.hosts(), {
        random: this.#deps.random,
        nowMs: this.#nowMs,
      });
      this.#balancer = balancer;
    }
    if (balancer.inPanic) this.counts.lbHealthyPanic++;
    if (facts.tried.length === 0 && balancer.only !== undefined) return balancer.only.choose();
    return balancer.pick({
      hash: facts.hash,
      tried: facts.tried.map((each) => this.#own(each)),
      moreAttempts: facts.hostSelectionAttempts,
      previousPriorities: facts.previousPriorities,
    });
  }

  #wire(facts: PickFacts): "http1" | "http2" {
    const { protocol } = this.#config.http;
    if (protocol !== "downstream") return protocol;
    return facts.downstreamProtocol === "HTTP/2" ? "http2" : "http1";
  }

  /** Endpoints are made here and nowhere else. */
  #own(endpoint: Endpoint): LiveEndpoint {
    if (!isLive(endpoint)) throw new TypeError("Cannot use an endpoint of someone else's making");
    return endpoint;
  }

  #observer(endpoint: LiveEndpoint): EndpointObserver {
    let observer = this.#observers.get(endpoint);
    if (observer === undefined) {
      observer = new EndpointObserver(endpoint, this.counts, (each) => this.health.connected(each));
      this.#observers.set(endpoint, observer);
    }
    return observer;
  }
}

function isLive(endpoint: Endpoint): endpoint is LiveEndpoint {
  return "pools" in endpoint && "outlier" in endpoint;
}

function whenOver(signal: AbortSignal, act: () => void): void {
  if (signal.aborted) act();
  else signal.addEventListener("abort", act, { once: true });
}
