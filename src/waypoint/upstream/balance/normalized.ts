/** Shares of hosts for consistent hashing: each its part of one, by weight, and by its locality's where those are weighted. */
import type { Host, Level } from "./host.ts";
import { hostsOf, inLocality } from "./host.ts";

export interface HostShare<H extends Host> {
  readonly host: H;
  readonly share: number;
}

export function normalizedShares<H extends Host>(
  level: Level<H>,
  health: "healthy" | "any",
  localityWeighted: boolean,
): readonly HostShare<H>[] {
  if (!localityWeighted || level.localities.every(({ weight }) => weight === 0))
    return sharesOf(hostsOf(level, health), 1);
  const filled = level.localities
    .map((locality) => ({ weight: locality.weight, hosts: inLocality(locality, health) }))
    .filter(({ weight, hosts }) => weight > 0 && hosts.length > 0);
  const total = filled.reduce((sum, { weight }) => sum + weight, 0);
  return filled.flatMap(({ weight, hosts }) => sharesOf(hosts, weight / total));
}

function sharesOf<H extends Host>(hosts: readonly H[], part: number): readonly HostShare<H>[] {
  const total = hosts.reduce((sum, { weight }) => sum + weight, 0);
  return hosts.map((host) => ({ host, share: (host.weight / total) * part }));
}
