/** Laws of balancers: fair shares, little disruption, loads that add up. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { xxHash64 } from "../../../src/shared/base/xxhash64.ts";
import type { EndpointHealth } from "../../../src/waypoint/model/endpoints.ts";
import { EdfQueue } from "../../../src/waypoint/upstream/balance/edf.ts";
import type { HostSet } from "../../../src/waypoint/upstream/balance/host.ts";
import { buildMaglev } from "../../../src/waypoint/upstream/balance/maglev.ts";
import { normalizedShares } from "../../../src/waypoint/upstream/balance/normalized.ts";
import { drawPriority, priorityLoad } from "../../../src/waypoint/upstream/balance/priorities.ts";
import { buildRing, type HashTable } from "../../../src/waypoint/upstream/balance/ring-hash.ts";
import { host, hostSet, type TestHost } from "../../support/waypoint/hosts.ts";

const weights = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 12 });

describe("earliest deadline first", () => {
  test("over one round everybody has had exactly its weight in turns, give or take one", () => {
    fc.assert(
      fc.property(weights, fc.integer({ min: 1, max: 5 }), (list, rounds) => {
        const queue = new EdfQueue([...list.keys()], (item) => list[item] ?? 1);
        const total = list.reduce((sum, weight) => sum + weight, 0);
        const counts = list.map(() => 0);
        for (let turn = 0; turn < total * rounds; turn++) {
          const item = queue.next() ?? 0;
          counts[item] = (counts[item] ?? 0) + 1;
        }
        for (const [item, weight] of list.entries())
          assert.ok(Math.abs((counts[item] ?? 0) - weight * rounds) <= 1);
      }),
    );
  });

  test("nobody waits longer than its share allows", () => {
    fc.assert(
      fc.property(weights, (list) => {
        const queue = new EdfQueue([...list.keys()], (item) => list[item] ?? 1);
        const total = list.reduce((sum, weight) => sum + weight, 0);
        const last = list.map(() => 0);
        for (let turn = 1; turn <= total * 3; turn++) {
          const item = queue.next() ?? 0;
          const waited = turn - (last[item] ?? 0);
          assert.ok(waited <= Math.ceil(total / (list[item] ?? 1)) + list.length);
          last[item] = turn;
        }
      }),
    );
  });
});

const hostCount = fc.integer({ min: 2, max: 12 });
const hostsNamed = (count: number): readonly TestHost[] =>
  Array.from({ length: count }, (_, at) => host(`10.0.0.${at}:8080`));

const builders = {
  "ring hash": (hosts: readonly TestHost[]) =>
    buildRing(
      normalizedShares({ localities: [locality(hosts)] }, "healthy", false),
      { minRingSize: 1024, maxRingSize: 1 << 23 },
      ({ hashKey }) => hashKey,
    ),
  maglev: (hosts: readonly TestHost[]) =>
    buildMaglev(
      normalizedShares({ localities: [locality(hosts)] }, "healthy", false),
      // Prime, and small enough to be built often.
      2039,
      ({ hashKey }) => hashKey,
    ),
} as const;

function locality(hosts: readonly TestHost[]) {
  return { weight: 1, hosts: hosts.map((each) => ({ host: each, health: "healthy" as const })) };
}

const samples = Array.from({ length: 2000 }, (_, at) => xxHash64(`sample ${at}`));

describe("consistent hashing", () => {
  for (const [name, build] of Object.entries(builders)) {
    const shareOf = (table: HashTable<TestHost>, key: string): number =>
      samples.filter((hash) => table.find(hash, 0)?.hashKey === key).length / samples.length;

    test(`${name}: shares are near to the weights`, () => {
      fc.assert(
        fc.property(hostCount, (count) => {
          const hosts = hostsNamed(count).map((each, at) => ({ ...each, weight: (at % 3) + 1 }));
          const table = build(hosts);
          const total = hosts.reduce((sum, { weight }) => sum + weight, 0);
          for (const { hashKey, weight } of hosts) {
            const wanted = weight / total;
            assert.ok(
              Math.abs(shareOf(table, hashKey) - wanted) < Math.max(0.06, wanted * 0.5),
              `${hashKey}: ${shareOf(table, hashKey)} instead of ${wanted}`,
            );
          }
        }),
        { numRuns: 8 },
      );
    });

    test(`${name}: when a host goes, hardly anybody else's requests move`, () => {
      fc.assert(
        fc.property(hostCount, fc.nat(), (count, which) => {
          const hosts = hostsNamed(count + 1);
          const gone = hosts[which % hosts.length];
          const before = build(hosts);
          const after = build(hosts.filter((each) => each !== gone));
          const moved = samples.filter((hash) => {
            const was = before.find(hash, 0);
            return was !== gone && was?.hashKey !== after.find(hash, 0)?.hashKey;
          }).length;
          // The ring's places stay, but how many each host has may change by its rounding; Maglev moves a few.
          assert.ok(moved / samples.length < 0.25, `${moved} of ${samples.length} moved`);
        }),
        { numRuns: 20 },
      );
    });

    test(`${name}: the order in which hosts are named does not matter`, () => {
      fc.assert(
        fc.property(hostCount, fc.infiniteStream(fc.nat()), (count, keys) => {
          const hosts = hostsNamed(count);
          const shuffled = hosts
            .map((each) => ({ each, key: keys.next().value }))
            .sort((a, b) => a.key - b.key)
            .map(({ each }) => each);
          const [one, other] = [build(hosts), build(shuffled)];
          for (const hash of samples) assert.equal(one.find(hash, 0), other.find(hash, 0));
        }),
        { numRuns: 10 },
      );
    });

    test(`${name}: every host can be found, and only hosts`, () => {
      const hosts = hostsNamed(12);
      const table = build(hosts);
      const found = new Set(samples.map((hash) => table.find(hash, 0)));
      assert.equal(found.size, 12);
      fc.assert(
        fc.property(
          fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
          fc.nat({ max: 10 }),
          (hash, at) => {
            const chosen = table.find(hash, at);
            assert.ok(chosen !== undefined && hosts.includes(chosen));
          },
        ),
      );
    });
  }
});

const health: fc.Arbitrary<EndpointHealth> = fc.constantFrom("healthy", "degraded", "unhealthy");
const levels = fc.array(fc.array(health, { maxLength: 8 }), { minLength: 1, maxLength: 4 });

function setOf(states: readonly (readonly EndpointHealth[])[]): HostSet<TestHost> {
  return hostSet(
    ...states.map((list, priority) => [
      { hosts: list.map((each, at) => [host(`${priority}-${at}`, { priority }), each] as const) },
    ]),
  );
}

function sum(parts: readonly number[]): number {
  return parts.reduce((total, part) => total + part, 0);
}

describe("priorities", () => {
  const thresholds = fc.constantFrom(0, 30, 50, 100);

  test("loads add up to 100, or to nothing where there is no threshold or no host", () => {
    fc.assert(
      fc.property(levels, thresholds, (states, threshold) => {
        const load = priorityLoad(setOf(states), threshold);
        const usable = states.flat().some((each) => each !== "unhealthy");
        const panics = threshold > 0 && states.flat().length > 0;
        assert.equal(sum([...load.healthy, ...load.degraded]), usable || panics ? 100 : 0);
      }),
    );
  });

  test("levels without hosts get nothing", () => {
    fc.assert(
      fc.property(levels, thresholds, (states, threshold) => {
        const load = priorityLoad(setOf(states), threshold);
        for (const [priority, list] of states.entries())
          if (list.length === 0)
            assert.equal((load.healthy[priority] ?? 0) + (load.degraded[priority] ?? 0), 0);
      }),
    );
  });

  test("every draw falls somewhere where there is load, and nowhere else", () => {
    fc.assert(
      fc.property(levels, thresholds, fc.nat({ max: 99 }), (states, threshold, draw) => {
        const load = priorityLoad(setOf(states), threshold);
        const drawn = drawPriority(load, draw);
        assert.equal(drawn !== undefined, sum([...load.healthy, ...load.degraded]) === 100);
        if (drawn !== undefined) assert.ok((load[drawn.health][drawn.priority] ?? 0) > 0);
      }),
    );
  });

  test("a level that is wholly healthy and first takes everything", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), levels, (count, rest) => {
        const first = Array.from({ length: count }, () => "healthy" as const);
        assert.equal(priorityLoad(setOf([first, ...rest]), 50).healthy[0], 100);
      }),
    );
  });
});
