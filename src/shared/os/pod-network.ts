/** The real network of one namespace: sockets are made inside it by system calls and then adopted by Node. */
import type { Clock } from "../base/clock.ts";
import type { PodNetwork } from "./network.ts";
import type { NetworkNamespace } from "./network-namespace.ts";

/** Sockets of this namespace. The namespace must stay open as long as the network is used. */
export function podNetwork(_namespace: NetworkNamespace, _clock: Clock): PodNetwork {
  throw new Error("not written yet");
}

/** Sockets of the process's own namespace. */
export function hostNetwork(_clock: Clock): PodNetwork {
  throw new Error("not written yet");
}
