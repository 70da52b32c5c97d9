/** Which locality of a priority gets the next request, where localities are weighted. */
import { EdfQueue } from "./edf.ts";
import type { Host, LocalityHosts } from "./host.ts";
import { inLocality } from "./host.ts";

/**
 * Weight times the share of hosts that are usable, with overprovisioning on top: a locality that loses a few hosts keeps
 * its part, one that loses many gives it up bit by bit.
 */
export function effectiveWeight<H extends Host>(
  locality: LocalityHosts<H>,
  health: "healthy" | "degraded",
  overprovisioningFactor: number,
): number {
  const { hosts, weight } = locality;
  if (hosts.length === 0) return 0;
  const usable = inLocality(locality, health).length / hosts.length;
  return weight * Math.min(1, (overprovisioningFactor / 100) * usable);
}

/** Turns of localities by index; undefined: weights say nothing here, so all localities count as one. */
export function localityTurns<H extends Host>(
  localities: readonly LocalityHosts<H>[],
  health: "healthy" | "degraded",
  overprovisioningFactor: number,
): EdfQueue<number> | undefined {
  const weights = localities.map((locality) =>
    effectiveWeight(locality, health, overprovisioningFactor),
  );
  const weighted = [...weights.keys()].filter((index) => (weights[index] ?? 0) > 0);
  if (weighted.length === 0) return undefined;
  return new EdfQueue(weighted, (index) => weights[index] ?? 1);
}
