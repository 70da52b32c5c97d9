/**
 * The node proxy's xDS client: applies what comes to a sink and acknowledges it. What has been learned stays when the control
 * plane goes away (wire/ztunnel.md sections 1.3 and 1.4).
 */
import type { DeltaDiscoveryResponse } from "../wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import { DeltaConnection, type DeltaConnectionDeps } from "./delta-connection.ts";
import { DeltaState, type Received } from "./delta-state.ts";
import type { DeltaRequest, XdsNode, XdsSink } from "./types.ts";

export interface XdsClientDeps extends DeltaConnectionDeps {
  readonly sink: XdsSink;
}

export interface XdsClientOptions {
  readonly node: XdsNode;
  /** Addresses are asked for one by one instead of all at once. */
  readonly onDemand: boolean;
}

export class XdsClient {
  readonly #deps: XdsClientDeps;
  readonly #state: DeltaState;
  readonly #connection: DeltaConnection;
  readonly #waiters = new Map<string, Set<() => void>>();
  #declareSynced: () => void = () => undefined;
  /** Resolves when each type that is subscribed as a whole was received and acknowledged once. Never rejects. */
  readonly synced: Promise<void>;

  constructor(deps: XdsClientDeps, options: XdsClientOptions) {
    this.#deps = deps;
    this.#state = new DeltaState(options);
    this.#connection = new DeltaConnection(deps, {
      initialRequests: () => this.#state.initialRequests(options.node),
      receive: (response) => this.#accept(response),
    });
    this.synced = new Promise((resolve) => {
      this.#declareSynced = resolve;
    });
  }

  /** Connects, and connects again whenever that ends; resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void> {
    return this.#connection.run(signal);
  }

  /**
   * Asks for an address by key (`network/ip`, uid or `namespace/hostname`) and resolves when the control plane has answered,
   * be it with its absence. At once when it has answered before, or when all addresses are subscribed.
   */
  demand(key: string, signal?: AbortSignal): Promise<void> {
    if (this.#state.isAnswered(key)) return Promise.resolve();
    const request = this.#state.demand(key);
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const waiting = this.#waiters.get(key) ?? new Set();
      this.#waiters.set(key, waiting);
      const onAbort = (): void => {
        waiting.delete(settle);
        reject(signal?.reason);
      };
      const settle = (): void => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      };
      waiting.add(settle);
      signal?.addEventListener("abort", onAbort, { once: true });
      // Without a stream the key goes out with the first requests of the next one.
      if (request !== undefined) this.#connection.send(request);
    });
  }

  /** What the initial synchronization still waits for, as type URLs. */
  get awaitingFirst(): readonly string[] {
    return this.#state.awaitingFirst;
  }

  /** Update, then waiters, then the answer: whoever sees the ACK sees a node that acts on it. */
  #accept(response: DeltaDiscoveryResponse): readonly DeltaRequest[] {
    const received = this.#state.receive(response);
    this.#deps.sink.apply(received.update);
    this.#report(response.typeUrl, received);
    for (const key of received.answered) {
      const waiting = this.#waiters.get(key);
      this.#waiters.delete(key);
      for (const settle of waiting ?? []) settle();
    }
    if (this.#state.synced) this.#declareSynced();
    return [received.answer];
  }

  #report(typeUrl: string, received: Received): void {
    const { logger, events } = this.#deps;
    for (const warning of received.warnings)
      logger.warn("xds resource accepted in part", { type_url: typeUrl, warning });
    if (received.problems.length === 0) return;
    events?.rejected?.(typeUrl, received.problems);
    for (const problem of received.problems)
      logger.error("xds resource refused", { type_url: typeUrl, error: problem });
  }
}
