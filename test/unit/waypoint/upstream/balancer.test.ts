import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Balance } from "../../../../src/waypoint/model/cluster.ts";
import {
  Balancer,
  type BalancerSettings,
  type Choice,
} from "../../../../src/waypoint/upstream/balance/balancer.ts";
import type { HostSet } from "../../../../src/waypoint/upstream/balance/host.ts";
import { priorityLoad } from "../../../../src/waypoint/upstream/balance/priorities.ts";
import { slowStartFactor } from "../../../../src/waypoint/upstream/balance/slow-start.ts";
import {
  host,
  hostSet,
  type LocalityPlan,
  seeded,
  type TestHost,
  tally,
} from "../../../support/waypoint/hosts.ts";

const roundRobin: Balance = { kind: "round-robin", slowStart: undefined };
const leastRequest: Balance = {
  kind: "least-request",
  choices: 2,
  activeRequestBias: 1,
  slowStart: undefined,
};
const ring: Balance = {
  kind: "ring-hash",
  minRingSize: 1024,
  maxRingSize: 8 * 1024 * 1024,
  byHostname: false,
};
const maglev: Balance = { kind: "maglev", tableSize: 65537, byHostname: false };
const first: Choice<TestHost> = {
  hash: undefined,
  tried: [],
  moreAttempts: 0,
  previousPriorities: undefined,
};

function balancer(
  balance: Balance,
  set: HostSet<TestHost>,
  more: Partial<BalancerSettings> = {},
  nowMs = 1_000_000,
): Balancer<TestHost> {
  return new Balancer(
    { balance, panicThresholdPercent: 50, localityWeighted: false, ...more },
    set,
    { random: seeded(7), nowMs: () => nowMs },
  );
}

const threeHosts = [host("a"), host("b"), host("c")];

describe("turns", () => {
  test("round robin gives everybody the same", () => {
    const of = balancer(roundRobin, hostSet([{ hosts: threeHosts }]));
    for (const count of tally(300, () => of.pick(first)).values()) assert.equal(count, 100);
  });

  test("weights are kept exactly, and turns are spread", () => {
    const hosts = [host("a", { weight: 5 }), host("b", { weight: 1 }), host("c", { weight: 1 })];
    const of = balancer(roundRobin, hostSet([{ hosts }]));
    const counts = tally(700, () => of.pick(first));
    assert.equal(counts.get("a"), 500);
    assert.equal(counts.get("b"), 100);
    assert.equal(counts.get("c"), 100);
  });

  test("least request prefers the idle one of two", () => {
    const busy = host("busy", { active: 50 });
    const of = balancer(leastRequest, hostSet([{ hosts: [busy, host("idle")] }]));
    const counts = tally(1000, () => of.pick(first));
    // Only when both draws fall on the busy one.
    assert.ok((counts.get("busy") ?? 0) < 320, String(counts.get("busy")));
  });

  test("least request with weights divides by what is under way", () => {
    const hosts = [host("heavy", { weight: 3 }), host("light", { weight: 1, active: 3 })];
    const of = balancer(leastRequest, hostSet([{ hosts }]));
    const counts = tally(1300, () => of.pick(first));
    // 3 to 1/4.
    assert.equal(counts.get("heavy"), 1200);
  });

  test("random looks at no weight", () => {
    const hosts = [host("a", { weight: 100 }), host("b")];
    const of = balancer({ kind: "random" }, hostSet([{ hosts }]));
    const counts = tally(2000, () => of.pick(first));
    assert.ok(Math.abs((counts.get("b") ?? 0) - 1000) < 100);
  });

  test("a host that starts slowly gets its minimum first, all later", () => {
    const slowStart = { windowMs: 30_000, aggression: 1, minWeightPercent: 10 };
    const balance: Balance = { kind: "round-robin", slowStart };
    const hosts = [host("old", { sinceMs: 0 }), host("new", { sinceMs: 1_000_000 })];
    const of = balancer(balance, hostSet([{ hosts }]));
    const counts = tally(1100, () => of.pick(first));
    assert.ok(Math.abs((counts.get("new") ?? 0) - 100) <= 1);
    assert.equal(slowStartFactor(slowStart, 15_000), 0.5);
    assert.equal(slowStartFactor(slowStart, 30_000), 1);
    assert.equal(slowStartFactor({ ...slowStart, aggression: 2 }, 7_500), 0.5);
  });

  test("nobody there: nobody is chosen", () => {
    assert.equal(balancer(roundRobin, hostSet()).pick(first), undefined);
    assert.equal(balancer(maglev, hostSet([{ hosts: [] }])).pick(first), undefined);
  });
});

describe("health", () => {
  test("unhealthy hosts get nothing while enough are healthy", () => {
    const hosts: LocalityPlan["hosts"] = [...threeHosts, [host("ill"), "unhealthy"]];
    const of = balancer(roundRobin, hostSet([{ hosts }]));
    assert.equal(tally(300, () => of.pick(first)).has("ill"), false);
  });

  test("below the threshold health is not looked at", () => {
    const hosts: LocalityPlan["hosts"] = [
      host("a"),
      [host("b"), "unhealthy"],
      [host("c"), "unhealthy"],
    ];
    const panicking = balancer(roundRobin, hostSet([{ hosts }]));
    assert.equal(panicking.inPanic, true);
    assert.equal(tally(300, () => panicking.pick(first)).size, 3);
    const calm = balancer(roundRobin, hostSet([{ hosts }]), { panicThresholdPercent: 0 });
    assert.deepEqual([...tally(30, () => calm.pick(first))], [["a", 30]]);
  });

  test("with everybody ill a threshold of zero means nobody", () => {
    const hosts: LocalityPlan["hosts"] = [[host("a"), "unhealthy"]];
    const calm = balancer(roundRobin, hostSet([{ hosts }]), { panicThresholdPercent: 0 });
    assert.equal(calm.pick(first), undefined);
    const panicking = balancer(roundRobin, hostSet([{ hosts }]));
    assert.equal(panicking.pick(first)?.hashKey, "a");
  });
});

describe("priorities", () => {
  const level = (
    prefix: string,
    healthy: number,
    ill: number,
    priority: number,
  ): LocalityPlan[] => [
    {
      hosts: [
        ...Array.from({ length: healthy }, (_, at) => host(`${prefix}${at}`, { priority })),
        ...Array.from(
          { length: ill },
          (_, at) => [host(`${prefix}-ill${at}`, { priority }), "unhealthy"] as const,
        ),
      ],
    },
  ];

  // Rows of the reference's documentation on priority levels, overprovisioning 1.4.
  for (const [healthyFirst, healthySecond, expected] of [
    [100, 100, [100, 0]],
    [72, 72, [100, 0]],
    [71, 71, [99, 1]],
    [50, 50, [70, 30]],
    [25, 100, [35, 65]],
    [25, 25, [50, 50]],
  ] as const)
    test(`${healthyFirst} % and ${healthySecond} % healthy: ${expected.join(" and ")} %`, () => {
      const set = hostSet(
        level("a", healthyFirst, 100 - healthyFirst, 0),
        level("b", healthySecond, 100 - healthySecond, 1),
      );
      assert.deepEqual(priorityLoad(set, 50).healthy, expected);
    });

  test("both nearly gone: the load is shared in panic by what is left", () => {
    const set = hostSet(level("a", 5, 95, 0), level("b", 65, 35, 1));
    const load = priorityLoad(set, 50);
    // 7 and 91 of 98, the rest by rounding to the first.
    assert.deepEqual(load.healthy, [8, 92]);
    assert.deepEqual(load.panic, [true, false]);
  });

  test("the second locality takes over when the first is gone", () => {
    const set = hostSet(level("near", 0, 3, 0), level("far", 2, 0, 1));
    const of = balancer(roundRobin, set);
    const counts = tally(100, () => of.pick(first));
    assert.deepEqual([...counts.keys()].sort(), ["far0", "far1"]);
  });

  test("degraded hosts help before the next priority's do not suffice", () => {
    const set = hostSet([{ hosts: [[host("a"), "degraded"] as const] }]);
    assert.deepEqual(priorityLoad(set, 50), { healthy: [0], degraded: [100], panic: [false] });
  });

  test("retries leave out priorities that were tried", () => {
    const near = host("near", { priority: 0 });
    const set = hostSet([{ hosts: [near] }], [{ hosts: [host("far", { priority: 1 })] }]);
    const of = balancer(roundRobin, set);
    const again = { ...first, tried: [near, near], previousPriorities: 2 };
    assert.equal(of.pick(again)?.hashKey, "far");
    assert.equal(of.pick({ ...again, tried: [near] })?.hashKey, "near");
  });
});

describe("localities", () => {
  test("weights share the load, and what is ill gives up its part", () => {
    const east = { weight: 3, hosts: [host("e")] };
    const west = { weight: 1, hosts: [host("w")] };
    const of = balancer(roundRobin, hostSet([east, west]), { localityWeighted: true });
    const counts = tally(400, () => of.pick(first));
    assert.equal(counts.get("e"), 300);
    const ill = {
      weight: 3,
      hosts: [host("e"), [host("x"), "unhealthy"] as const, [host("y"), "unhealthy"] as const],
    };
    const shaken = balancer(
      roundRobin,
      hostSet([ill, { weight: 1, hosts: [host("w"), host("v")] }]),
      {
        localityWeighted: true,
        panicThresholdPercent: 0,
      },
    );
    // 3 times 1.4 thirds against 1.
    const after = tally(2400, () => shaken.pick(first));
    assert.ok(Math.abs((after.get("e") ?? 0) - 1400) < 10, String(after.get("e")));
  });
});

describe("consistent hashing", () => {
  for (const balance of [ring, maglev]) {
    test(`${balance.kind}: a hash stays with its host, a retry goes to another`, () => {
      const hosts = Array.from({ length: 5 }, (_, at) => host(`10.0.0.${at}:80`));
      const of = balancer(balance, hostSet([{ hosts }]));
      for (let value = 1n; value < 2n ** 63n; value = value * 7n + 3n) {
        const chosen = of.pick({ ...first, hash: value });
        assert.ok(chosen);
        assert.equal(of.pick({ ...first, hash: value }), chosen);
        const other = of.pick({ ...first, hash: value, tried: [chosen], moreAttempts: 30 });
        assert.notEqual(other, chosen);
      }
    });

    test(`${balance.kind}: without a hash everybody gets something`, () => {
      const of = balancer(balance, hostSet([{ hosts: threeHosts }]));
      assert.equal(tally(200, () => of.pick(first)).size, 3);
    });
  }
});
