/** Hosts for balancers, and a random source that gives the same every time. */

import type { EndpointHealth } from "../../../src/waypoint/model/endpoints.ts";
import type { Host, HostSet } from "../../../src/waypoint/upstream/balance/host.ts";

export interface TestHost extends Host {
  active: number;
}

export function host(name: string, more: Partial<TestHost> = {}): TestHost {
  return { hashKey: name, hostname: "", weight: 1, priority: 0, active: 0, sinceMs: 0, ...more };
}

export interface LocalityPlan {
  readonly weight?: number;
  readonly hosts: readonly (TestHost | readonly [host: TestHost, health: EndpointHealth])[];
}

/** Levels of localities of hosts; healthy unless said otherwise. */
export function hostSet(...levels: readonly (readonly LocalityPlan[])[]): HostSet<TestHost> {
  return {
    levels: levels.map((localities) => ({
      localities: localities.map(({ weight, hosts }) => ({
        weight: weight ?? 1,
        hosts: hosts.map((each) =>
          "hashKey" in each
            ? { host: each, health: "healthy" }
            : { host: each[0], health: each[1] },
        ),
      })),
    })),
    overprovisioningFactor: 140,
    weightedPriorityHealth: false,
  };
}

/** Mulberry32: small, and good enough to draw with. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function tally(count: number, pick: () => TestHost | undefined): Map<string, number> {
  const counts = new Map<string, number>();
  for (let at = 0; at < count; at++) {
    const key = pick()?.hashKey ?? "none";
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}
