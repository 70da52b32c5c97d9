/** The pods of a thread that is not the main one: started, drained and stopped as the main thread says. */
import type { Clock } from "../../shared/base/clock.ts";
import { MeshError } from "../../shared/base/errors.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";
import { NetworkNamespace } from "../../shared/os/network-namespace.ts";
import { hostNetwork, podNetwork } from "../../shared/os/pod-network.ts";
import type { PodInfo } from "../inpod/pod-proxy.ts";
import { type RunningPodProxy, startPodProxy } from "../proxy/pod-proxy.ts";
import type { NodeScope } from "../proxy/scope.ts";
import type { PodConnections, PodPlace } from "./messages.ts";
import { openConnections } from "./open-connections.ts";

type Held =
  | { readonly kind: "starting" }
  | {
      readonly kind: "running";
      readonly proxy: RunningPodProxy;
      readonly namespace: NetworkNamespace | undefined;
    };

const starting: Held = { kind: "starting" };

export class ThreadPods {
  readonly #node: NodeScope;
  readonly #clock: Clock;
  readonly #held = new Map<number, Held>();

  constructor(node: NodeScope, clock: Clock) {
    this.#node = node;
    this.#clock = clock;
  }

  /** Resolves when the pod's listeners accept; otherwise nothing is left, the place's descriptor included. */
  async start(pod: number, info: PodInfo, place: PodPlace): Promise<void> {
    const namespace =
      place.kind === "host" ? undefined : NetworkNamespace.adopt(place.fd, place.label);
    this.#held.set(pod, starting);
    try {
      const network =
        namespace === undefined ? hostNetwork(this.#clock) : podNetwork(namespace, this.#clock);
      // The main thread finds out whether a successor may take over, once for all threads.
      const options = { kind: "pod", provesSuccessor: false } as const;
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

  stopAll(): void {
    for (const pod of [...this.#held.keys()]) this.stop(pod);
  }

  serves(pod: number, peer: SocketAddress): boolean {
    const held = this.#held.get(pod);
    return held?.kind === "running" && held.proxy.serves(peer);
  }

  connections(): readonly PodConnections[] {
    return [...this.#held].flatMap(([pod, held]) =>
      held.kind === "running"
        ? [{ pod, connections: openConnections(held.proxy.connections) }]
        : [],
    );
  }
}
