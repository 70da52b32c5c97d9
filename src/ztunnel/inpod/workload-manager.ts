/**
 * Keeps one proxy for each pod of the node: takes inputs one at a time, asks manager-state.ts what follows, and does it.
 * Whoever calls `handle` waits for the result; calls from elsewhere queue behind.
 */
import { describeError } from "../../shared/base/errors.ts";
import type { Readiness, ReadinessBlock } from "../../shared/base/readiness.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import {
  initialState,
  isReady,
  type ManagerEffect,
  type ManagerInput,
  type ManagerState,
  type PodRecord,
  step,
} from "./manager-state.ts";
import type { PodProxy, PodProxyFactory } from "./pod-proxy.ts";

/** The four `workload_manager_*` metrics (wire/ztunnel.md section 9.2). */
interface WorkloadManagerMetrics {
  activeProxies(count: number): void;
  pendingProxies(count: number): void;
  proxyStarted(): void;
  proxyStopped(): void;
}

export interface WorkloadManagerDeps {
  readonly factory: PodProxyFactory;
  readonly metrics: WorkloadManagerMetrics;
  readonly readiness: Readiness;
  readonly log: Logger;
}

export type Outcome =
  | { readonly kind: "answer"; readonly error: string | undefined }
  /** The peer broke the protocol. */
  | { readonly kind: "fail"; readonly reason: string }
  /** The input was not a request. */
  | { readonly kind: "none" };

const READINESS_TASK = "workload proxy manager";

export class WorkloadManager {
  readonly #deps: WorkloadManagerDeps;
  readonly #proxies = new Map<string, PodProxy>();
  #state: ManagerState = initialState;
  #queue: Promise<unknown> = Promise.resolve();
  #block: ReadinessBlock | undefined;
  #phase: "serving" | "drained" = "serving";

  constructor(deps: WorkloadManagerDeps) {
    this.#deps = deps;
    this.#publish();
  }

  /** For the configuration dump. */
  get state(): ManagerState {
    return this.#state;
  }

  /** Never rejects for reasons of the peer or of a pod. */
  handle(input: ManagerInput): Promise<Outcome> {
    return this.#enqueue(() => this.#process(input));
  }

  /** Tries the pods again whose proxies did not start. */
  async retryPending(): Promise<void> {
    if (this.#state.pending.size > 0) await this.handle({ kind: "retry-due" });
  }

  /** Ends all proxies gracefully; further inputs are ignored. */
  drain(deadlineMs: number): Promise<void> {
    return this.#enqueue(async () => {
      if (this.#phase === "drained") return;
      this.#phase = "drained";
      await Promise.all(
        [...this.#proxies].map(async ([uid, proxy]) => {
          try {
            await proxy.drain(deadlineMs);
          } catch (thrown) {
            this.#deps.log.warn("proxy not drained", { uid, error: describeError(thrown) });
          }
          this.#deps.metrics.proxyStopped();
          this.#state.running.get(uid)?.namespace.close();
        }),
      );
      this.#proxies.clear();
      for (const pod of this.#state.pending.values()) pod.namespace.close();
      this.#state = initialState;
      this.#publish();
    });
  }

  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    // The queue goes on after a failure; the caller of this work gets it.
    this.#queue = result.catch(() => undefined);
    return result;
  }

  async #process(first: ManagerInput): Promise<Outcome> {
    if (this.#phase === "drained") return this.#refuse(first);
    let outcome: Outcome = { kind: "none" };
    let input: ManagerInput | undefined = first;
    while (input !== undefined) {
      const { state, effects } = step(this.#state, input);
      this.#state = state;
      input = undefined;
      for (const effect of effects) {
        if (effect.kind === "start") input = await this.#start(effect.pod);
        else outcome = this.#carryOut(effect) ?? outcome;
      }
    }
    this.#publish();
    return outcome;
  }

  #refuse(input: ManagerInput): Outcome {
    if (input.kind === "add") input.pod.namespace.close();
    return { kind: "answer", error: "shutting down" };
  }

  #carryOut(effect: Exclude<ManagerEffect, { kind: "start" }>): Outcome | undefined {
    switch (effect.kind) {
      case "answer":
        return { kind: "answer", error: effect.error };
      case "fail":
        return { kind: "fail", reason: effect.reason };
      case "close":
        effect.namespace.close();
        return undefined;
      case "stop":
        this.#stop(effect.pod);
        return undefined;
    }
  }

  async #start(pod: PodRecord): Promise<ManagerInput> {
    const fields = { uid: pod.uid, pod: `${pod.info.namespace}/${pod.info.name}` };
    try {
      this.#proxies.set(pod.uid, await this.#deps.factory.start(pod));
    } catch (thrown) {
      const reason = describeError(thrown);
      this.#deps.log.warn("failure to start proxy", { ...fields, error: reason });
      return { kind: "start-failed", reason };
    }
    this.#deps.metrics.proxyStarted();
    this.#deps.log.info("pod received, starting proxy", fields);
    return { kind: "started" };
  }

  #stop(pod: PodRecord): void {
    this.#proxies.get(pod.uid)?.stop();
    this.#proxies.delete(pod.uid);
    pod.namespace.close();
    this.#deps.metrics.proxyStopped();
    this.#deps.log.info("pod gone, stopping proxy", {
      uid: pod.uid,
      pod: `${pod.info.namespace}/${pod.info.name}`,
    });
  }

  /** Gauges and readiness follow the state after every input. */
  #publish(): void {
    this.#deps.metrics.activeProxies(this.#state.running.size);
    this.#deps.metrics.pendingProxies(this.#state.pending.size);
    if (isReady(this.#state)) {
      this.#block?.release();
      this.#block = undefined;
    } else {
      this.#block ??= this.#deps.readiness.block(READINESS_TASK);
    }
  }
}
