/** The pods of a thread that is not the main one: started, drained and stopped as the main thread says. */
import type { Clock } from "../../shared/base/clock.ts";
import { MeshError } from "../../shared/base/errors.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";
import { NetworkNamespace } from "../../shared/os/network-namespace.ts";
import { hostNetwork, podNetwork } from "../../shared/os/pod-network.ts";
import { type Placements, type RunningPodProxy, startPodProxy } from "../proxy/pod-proxy.ts";
import type { NodeScope } from "../proxy/scope.ts";
import { openBoards, takeOver } from "./hand-over.ts";
import type { Accepted, PodConnections, ThreadRequest } from "./messages.ts";
import { openConnections } from "./open-connections.ts";

type StartPod = Extract<ThreadRequest, { readonly kind: "start-pod" }>;

type Held =
  | { readonly kind: "starting" }
  | {
      readonly kind: "running";
      readonly proxy: RunningPodProxy;
      readonly namespace: NetworkNamespace | undefined;
    };

const starting: Held = { kind: "starting" };

/** Where HBONE connections go that other threads shall serve. */
export interface Neighbors {
  /** The number of this thread. */
  readonly own: number;
  readonly totals: SharedArrayBuffer;
  handOver(pod: number, thread: number, accepted: Accepted): void;
}

export class ThreadPods {
  readonly #node: NodeScope;
  readonly #clock: Clock;
  readonly #neighbors: Neighbors;
  readonly #held = new Map<number, Held>();

  constructor(node: NodeScope, neighbors: Neighbors) {
    this.#node = node;
    this.#clock = node.clock;
    this.#neighbors = neighbors;
  }

  /** Resolves when the pod's listeners accept; otherwise nothing is left, the place's descriptor included. */
  async start({ pod, info, place, board }: StartPod): Promise<void> {
    const namespace =
      place.kind === "host" ? undefined : NetworkNamespace.adopt(place.fd, place.label);
    this.#held.set(pod, starting);
    try {
      const network =
        namespace === undefined ? hostNetwork(this.#clock) : podNetwork(namespace, this.#clock);
      // The main thread finds out whether a successor may take over, once for all threads.
      const placements = this.#placements(pod, board);
      const options = { kind: "pod", provesSuccessor: false, placements } as const;
      const proxy = await startPodProxy(this.#node, info, network, options);
      if (this.#held.get(pod) !== starting) {
        proxy.stop();
        throw new MeshError("drained", "stopped while it started");
      }
      this.#held.set(pod, { kind: "running", proxy, namespace });
    } catch (thrown) {
      if (this.#held.get(pod) === starting) this.#held.delete(pod);
      namespace?.close();
      throw thrown;
    }
  }

  async drain(pod: number, deadlineMs: number): Promise<void> {
    const held = this.#held.get(pod);
    if (held?.kind === "running") await held.proxy.drain(deadlineMs);
    this.stop(pod);
  }

  /** Cuts everything now. Idempotent. */
  stop(pod: number): void {
    const held = this.#held.get(pod);
    this.#held.delete(pod);
    if (held?.kind !== "running") return;
    held.proxy.stop();
    held.namespace?.close();
  }

  /** Serves a connection that another thread has accepted. */
  take(pod: number, accepted: Accepted): void {
    const held = this.#held.get(pod);
    const { totals, own } = this.#neighbors;
    takeOver(held?.kind === "running" ? held.proxy : undefined, accepted, totals, own);
  }

  stopAll(): void {
    for (const pod of [...this.#held.keys()]) this.stop(pod);
  }

  serves(pod: number, peer: SocketAddress): boolean {
    const held = this.#held.get(pod);
    return held?.kind === "running" && held.proxy.serves(peer);
  }

  #placements(pod: number, memory: SharedArrayBuffer): Placements {
    const { own, totals } = this.#neighbors;
    const { placements } = openBoards(
      { pod: memory, all: totals },
      own,
      this.#clock,
      (to, accepted) => this.#neighbors.handOver(pod, to, accepted),
    );
    return placements;
  }

  connections(): readonly PodConnections[] {
    return [...this.#held].flatMap(([pod, held]) =>
      held.kind === "running"
        ? [{ pod, connections: openConnections(held.proxy.connections) }]
        : [],
    );
  }
}
