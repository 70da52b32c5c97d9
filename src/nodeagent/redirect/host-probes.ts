/** Keeps the node's own rules in step with the pods that are captured. */
import type { IpAddress } from "../../shared/net/ip.ts";
import { sharedWrite } from "../shared-write.ts";

export interface HostProbes {
  /** Resolves when probes of this pod arrive under the probe address. */
  add(uid: string, ips: readonly IpAddress[]): Promise<void>;
  /** Resolves when they come under the node's own address again. */
  remove(uid: string): Promise<void>;
}

/** For nodes that nobody probes from. */
export const noHostProbes: HostProbes = {
  add: () => Promise.resolve(),
  remove: () => Promise.resolve(),
};

/** `write` replaces the rules as a whole. */
export function hostProbes(write: (pods: readonly IpAddress[]) => Promise<void>): HostProbes {
  const pods = new Map<string, readonly IpAddress[]>();
  const flush = sharedWrite(() => write([...new Set([...pods.values()].flat())]));
  return {
    add: (uid, ips) => {
      pods.set(uid, ips);
      return flush();
    },
    remove: (uid) => (pods.delete(uid) ? flush() : Promise.resolve()),
  };
}
