/** The endpoints of one cluster: taken from an assignment, kept where they stay, retired where they go. */
import type { Assignment, LocalityEndpoints } from "../model/endpoints.ts";
import type { HostSet, Level } from "./balance/host.ts";
import { type EndpointPlace, endpointKey, LiveEndpoint, type PeerOf } from "./live-endpoint.ts";

interface PlacedLocality {
  readonly weight: number;
  readonly endpoints: readonly LiveEndpoint[];
}

export interface EndpointChanges {
  readonly added: readonly LiveEndpoint[];
  readonly removed: readonly LiveEndpoint[];
}

export class EndpointSet {
  readonly #byKey = new Map<string, LiveEndpoint>();
  /** By priority. */
  #levels: readonly (readonly PlacedLocality[])[] = [];
  #assignment: Assignment | undefined;

  get assignment(): Assignment | undefined {
    return this.#assignment;
  }

  all(): IterableIterator<LiveEndpoint> {
    return this.#byKey.values();
  }

  get size(): number {
    return this.#byKey.size;
  }

  assign(assignment: Assignment, nowMs: number, peerOf: PeerOf): EndpointChanges {
    this.#assignment = assignment;
    const added: LiveEndpoint[] = [];
    const seen = new Set<string>();
    const levels: PlacedLocality[][] = [];
    for (const locality of assignment.localities) {
      const endpoints: LiveEndpoint[] = [];
      for (const place of placesOf(locality)) {
        const key = endpointKey(place.config);
        // An address counts once, where it comes first.
        if (seen.has(key)) continue;
        seen.add(key);
        let endpoint = this.#byKey.get(key);
        if (endpoint === undefined) {
          endpoint = new LiveEndpoint(place, nowMs, peerOf);
          this.#byKey.set(key, endpoint);
          added.push(endpoint);
        } else endpoint.move(place);
        endpoints.push(endpoint);
      }
      while (levels.length <= locality.priority) levels.push([]);
      levels[locality.priority]?.push({ weight: locality.weight ?? 0, endpoints });
    }
    this.#levels = levels;
    return { added, removed: this.#retireAllBut(seen) };
  }

  clear(): readonly LiveEndpoint[] {
    this.#levels = [];
    this.#assignment = undefined;
    return this.#retireAllBut(new Set());
  }

  /** With everybody's health as it is now. */
  hosts(): HostSet<LiveEndpoint> {
    return {
      levels: this.#levels.map(
        (localities): Level<LiveEndpoint> => ({
          localities: localities.map(({ weight, endpoints }) => ({
            weight,
            hosts: endpoints.map((host) => ({ host, health: host.health })),
          })),
        }),
      ),
      overprovisioningFactor: this.#assignment?.overprovisioningFactor ?? 140,
      weightedPriorityHealth: this.#assignment?.weightedPriorityHealth ?? false,
    };
  }

  #retireAllBut(kept: ReadonlySet<string>): readonly LiveEndpoint[] {
    const removed: LiveEndpoint[] = [];
    for (const [key, endpoint] of this.#byKey) {
      if (kept.has(key)) continue;
      this.#byKey.delete(key);
      endpoint.retire();
      removed.push(endpoint);
    }
    return removed;
  }
}

function placesOf({ locality, priority, endpoints }: LocalityEndpoints): readonly EndpointPlace[] {
  return endpoints.map((config) => ({ config, locality, priority }));
}
