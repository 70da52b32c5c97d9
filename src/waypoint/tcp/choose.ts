/** Which cluster a connection goes to, and by what hash. Pure. */

import type { TcpChain } from "../model/chain.ts";
import type { HashPolicy } from "../model/route.ts";

/** `draw` in [0, 1). Undefined: the chain names none. */
export function chooseCluster(choice: TcpChain["clusters"], draw: number): string | undefined {
  let left = Math.floor(draw * choice.total);
  for (const { cluster, weight } of choice.clusters) {
    if (left < weight) return cluster;
    left -= weight;
  }
  // Weights that sum to less than the total: Envoy keeps to the last one.
  return choice.clusters.at(-1)?.cluster;
}

/** The only thing to hash before a request is the client's address. */
export function connectionHash(
  policies: readonly HashPolicy[],
  sourceIp: string,
  hash: (text: string) => bigint,
): bigint | undefined {
  return policies.some((policy) => policy.kind === "source-ip") ? hash(sourceIp) : undefined;
}
