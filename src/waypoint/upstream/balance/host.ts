/** An endpoint as balancers see it, and the sets of them that they choose from. All but the counters is immutable. */
import type { EndpointHealth } from "../../model/endpoints.ts";

export interface Host {
  /** What consistent hashing hashes: the address as Envoy prints it, or a key from the endpoint's metadata. */
  readonly hashKey: string;
  readonly hostname: string;
  readonly weight: number;
  readonly priority: number;
  /** Requests or connections under way; read at each choice. */
  readonly active: number;
  /** When it was first seen. For slow start. */
  readonly sinceMs: number;
}

/** A host with its health at the moment of building. */
export interface HostState<H extends Host> {
  readonly host: H;
  readonly health: EndpointHealth;
}

export interface LocalityHosts<H extends Host> {
  readonly weight: number;
  readonly hosts: readonly HostState<H>[];
}

/** All hosts of one priority. */
export interface Level<H extends Host> {
  readonly localities: readonly LocalityHosts<H>[];
}

export interface HostSet<H extends Host> {
  /** By priority; priorities that are not used are empty. */
  readonly levels: readonly Level<H>[];
  readonly overprovisioningFactor: number;
  readonly weightedPriorityHealth: boolean;
}

export function hostsOf<H extends Host>(
  level: Level<H>,
  health: EndpointHealth | "any",
): readonly H[] {
  const hosts: H[] = [];
  for (const locality of level.localities)
    for (const state of locality.hosts)
      if (health === "any" || state.health === health) hosts.push(state.host);
  return hosts;
}

export function inLocality<H extends Host>(
  locality: LocalityHosts<H>,
  health: EndpointHealth | "any",
): readonly H[] {
  return locality.hosts
    .filter((state) => health === "any" || state.health === health)
    .map(({ host }) => host);
}
