/**
 * The xDS client: keeps one delta stream to the control plane, applies what comes to a sink, acknowledges it, and connects
 * again forever. What has been learned stays when the control plane goes away (wire/ztunnel.md sections 1.3 and 1.4).
 */
import type { Clock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { DeltaDiscoveryResponse } from "../wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import { DeltaState, type Received } from "./delta-state.ts";
import type { DeltaStream, OpenDeltaStream } from "./delta-stream.ts";
import { describeEnd, initialBackoffMs, planReconnect, type StreamEnd } from "./reconnect.ts";
import type { XdsEvents, XdsNode, XdsSink } from "./types.ts";

export interface XdsClientDeps {
  /** Opens a stream, see openDeltaStream; a throw counts as a stream that could not be opened. */
  readonly open: OpenDeltaStream;
  readonly clock: Pick<Clock, "sleep">;
  readonly logger: Logger;
  readonly sink: XdsSink;
  readonly events?: Partial<XdsEvents>;
}

export interface XdsClientOptions {
  readonly node: XdsNode;
  /** Addresses are asked for one by one instead of all at once. */
  readonly onDemand: boolean;
}

export class XdsClient {
  readonly #deps: XdsClientDeps;
  readonly #options: XdsClientOptions;
  readonly #state: DeltaState;
  readonly #waiters = new Map<string, Set<() => void>>();
  #stream: DeltaStream | undefined;
  #declareSynced: () => void = () => undefined;
  /** Resolves when each type that is subscribed as a whole was received and acknowledged once. Never rejects. */
  readonly synced: Promise<void>;

  constructor(deps: XdsClientDeps, options: XdsClientOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#state = new DeltaState(options);
    this.synced = new Promise((resolve) => {
      this.#declareSynced = resolve;
    });
  }

  /** Connects, and connects again whenever that ends; resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, events, logger } = this.#deps;
    let backoffMs = initialBackoffMs;
    while (!signal.aborted) {
      const { end, receivedAny } = await this.#oneStream(signal);
      if (end === undefined || signal.aborted) return;
      const plan = planReconnect(end, backoffMs, receivedAny);
      backoffMs = plan.nextBackoffMs;
      events?.terminated?.(plan.reason);
      logger.log(plan.reason.endsWith("Error") ? "warn" : "info", "xds stream ended", {
        reason: plan.reason,
        error: describeEnd(end),
        retry_in: `${plan.waitMs}ms`,
      });
      // Also a wait of 0 goes through the clock, so that a stream that ends at once cannot starve everything else.
      await clock.sleep(plan.waitMs, signal).catch(() => undefined);
    }
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
      if (request !== undefined) this.#stream?.send(request);
    });
  }

  /** What the initial synchronization still waits for, as type URLs. */
  get awaitingFirst(): readonly string[] {
    return this.#state.awaitingFirst;
  }

  #oneStream(signal: AbortSignal): Promise<StreamOutcome> {
    return new Promise((resolve) => {
      /** Something was received and could be processed. */
      let receivedAny = false;
      const settle = (end: StreamEnd | undefined): void => {
        signal.removeEventListener("abort", onAbort);
        this.#stream = undefined;
        resolve({ end, receivedAny });
      };
      const onAbort = (): void => {
        this.#stream?.close();
        settle(undefined);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      try {
        const stream = this.#deps.open({
          onResponse: (response, bytes) => {
            this.#deps.events?.message?.(response.typeUrl, bytes);
            this.#accept(stream, response);
            receivedAny = true;
          },
          onEnd: settle,
        });
        this.#stream = stream;
        for (const request of this.#state.initialRequests(this.#options.node)) stream.send(request);
      } catch (thrown) {
        settle({ kind: "not-opened", error: describeError(thrown) });
      }
    });
  }

  /** Update, then waiters, then the answer: whoever sees the ACK sees a node that acts on it. */
  #accept(stream: DeltaStream, response: DeltaDiscoveryResponse): void {
    const received = this.#state.receive(response);
    this.#deps.sink.apply(received.update);
    this.#report(response.typeUrl, received);
    for (const key of received.answered) {
      const waiting = this.#waiters.get(key);
      this.#waiters.delete(key);
      for (const settle of waiting ?? []) settle();
    }
    stream.send(received.answer);
    if (this.#state.synced) this.#declareSynced();
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

interface StreamOutcome {
  /** Undefined: told to stop. */
  readonly end: StreamEnd | undefined;
  readonly receivedAny: boolean;
}
