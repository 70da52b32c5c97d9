import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import type { DnsOptions } from "../../../../src/waypoint/model/cluster.ts";
import type { Assignment } from "../../../../src/waypoint/model/endpoints.ts";
import { type Resolved, resolveFamily } from "../../../../src/waypoint/upstream/dial/resolver.ts";
import { DnsDiscovery } from "../../../../src/waypoint/upstream/dns-discovery.ts";
import { FakeClock } from "../../../support/clock.ts";
import { assignment, endpointAt } from "../../../support/waypoint/upstreams.ts";

const options: DnsOptions = {
  family: "v4-only",
  refreshMs: 60_000,
  failureRefreshMs: 5_000,
  failureRefreshMaxMs: 20_000,
  respectTtl: true,
  jitterMs: 0,
};

function rig(mode: "strict" | "logical", dns: Partial<DnsOptions> = {}) {
  const clock = new FakeClock();
  const seen: string[][] = [];
  const asked: string[] = [];
  let answer: (host: string) => readonly Resolved[] = () => [];
  const discovery = new DnsDiscovery(
    {
      mode,
      assignment: assignment([
        endpointAt({ kind: "name", host: "api.test", port: 443 }, { hostText: "api.test:443" }),
      ]),
      dns: { ...options, ...dns },
    },
    {
      clock,
      random: () => 0,
      resolve: async (host) => {
        asked.push(host);
        return answer(host);
      },
      changed: (now: Assignment) =>
        seen.push(
          now.localities.flatMap(({ endpoints }) => endpoints.map(({ hostText }) => hostText)),
        ),
    },
  );
  return {
    clock,
    seen,
    asked,
    discovery,
    answers: (next: typeof answer) => {
      answer = next;
    },
  };
}

const at = (ip: string, ttlMs?: number): Resolved => ({ ip: ipOf(ip), ttlMs });

describe("names", () => {
  test("strict: an endpoint for each address; warm after the first answer", async () => {
    const { clock, seen, discovery, answers } = rig("strict");
    answers(() => [at("192.0.2.1"), at("192.0.2.2")]);
    discovery.start();
    assert.equal(discovery.warm, false);
    await clock.advance(0);
    assert.equal(discovery.warm, true);
    assert.deepEqual(seen, [["192.0.2.1:443", "192.0.2.2:443"]]);
  });

  test("logical: one endpoint, the other addresses are its further ways", async () => {
    const { clock, seen, discovery, answers } = rig("logical");
    answers(() => [at("192.0.2.1"), at("192.0.2.2")]);
    discovery.start();
    await clock.advance(0);
    assert.deepEqual(seen, [["192.0.2.1:443"]]);
  });

  test("asked again when the time to live is over, told only of changes", async () => {
    const { clock, seen, asked, discovery, answers } = rig("strict");
    answers(() => [at("192.0.2.1", 10_000), at("192.0.2.2", 30_000)]);
    discovery.start();
    await clock.advance(9_999);
    assert.equal(asked.length, 1);
    answers(() => [at("192.0.2.2", 30_000), at("192.0.2.1", 10_000)]);
    await clock.advance(1);
    assert.equal(asked.length, 2);
    assert.equal(seen.length, 1);
    answers(() => [at("192.0.2.9", 10_000)]);
    await clock.advance(10_000);
    assert.deepEqual(seen.at(-1), ["192.0.2.9:443"]);
  });

  test("without regard to the time to live: at the configured rate", async () => {
    const { clock, asked, discovery, answers } = rig("strict", { respectTtl: false });
    answers(() => [at("192.0.2.1", 1_000)]);
    discovery.start();
    await clock.advance(59_999);
    assert.equal(asked.length, 1);
    await clock.advance(1);
    assert.equal(asked.length, 2);
  });

  test("a failure keeps what is known and asks again, later and later", async () => {
    const { clock, seen, asked, discovery, answers } = rig("strict");
    answers(() => [at("192.0.2.1", 10_000)]);
    discovery.start();
    await clock.advance(0);
    answers(() => {
      throw new Error("SERVFAIL");
    });
    // 10 s, then after 5, 10, 20 and 20 s.
    for (const stepMs of [10_000, 5_000, 10_000, 20_000, 20_000]) await clock.advance(stepMs);
    assert.equal(asked.length, 6);
    assert.deepEqual(seen, [["192.0.2.1:443"]]);
  });

  test("a first failure makes warm all the same, with nobody", async () => {
    const { clock, seen, discovery, answers } = rig("strict");
    answers(() => {
      throw new Error("NXDOMAIN");
    });
    discovery.start();
    await clock.advance(0);
    assert.equal(discovery.warm, true);
    assert.deepEqual(seen, [[]]);
  });

  test("closed: no timer is left, an answer on its way changes nothing", async () => {
    const { clock, seen, discovery, answers } = rig("strict");
    answers(() => [at("192.0.2.1")]);
    discovery.start();
    discovery.close();
    await clock.advance(100_000);
    assert.deepEqual(seen, []);
    assert.equal(clock.pending, 0);
  });
});

describe("families", () => {
  const ask = async (_host: string, version: 4 | 6): Promise<readonly Resolved[]> => {
    if (version === 6) return [at("2001:db8::1")];
    return [at("192.0.2.1")];
  };
  const fourOnly = async (_host: string, version: 4 | 6): Promise<readonly Resolved[]> => {
    if (version === 6) throw new Error("ENODATA");
    return [at("192.0.2.1")];
  };

  for (const [family, both, four] of [
    ["v4-only", "192.0.2.1", "192.0.2.1"],
    ["v6-only", "2001:db8::1", undefined],
    ["v4-preferred", "192.0.2.1", "192.0.2.1"],
    ["auto", "2001:db8::1", "192.0.2.1"],
    ["all", "2001:db8::1 192.0.2.1", "192.0.2.1"],
  ] as const)
    test(family, async () => {
      const text = (found: readonly Resolved[]): string => found.map(({ ip }) => ip).join(" ");
      assert.equal(text(await resolveFamily("a.test", family, ask)), both);
      if (four === undefined) await assert.rejects(resolveFamily("a.test", family, fourOnly));
      else assert.equal(text(await resolveFamily("a.test", family, fourOnly)), four);
    });
});
