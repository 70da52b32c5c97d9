import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { OutlierConfig } from "../../../../src/waypoint/model/cluster.ts";
import { OutlierDetector } from "../../../../src/waypoint/upstream/health/outlier.ts";
import {
  OutlierRecord,
  type OutlierResult,
} from "../../../../src/waypoint/upstream/health/outlier-record.ts";
import { FakeClock } from "../../../support/clock.ts";

const off = { threshold: 5, enforcingPercent: 0 };
const config: OutlierConfig = {
  intervalMs: 10_000,
  baseEjectionMs: 30_000,
  maxEjectionMs: 300_000,
  maxEjectionJitterMs: 0,
  maxEjectionPercent: 50,
  alwaysEjectOne: false,
  splitLocalOrigin: false,
  consecutive5xx: { threshold: 3, enforcingPercent: 100 },
  consecutiveGateway: off,
  consecutiveLocalOrigin: off,
  successRate: {
    enforcingPercent: 0,
    enforcingLocalOriginPercent: 0,
    minHosts: 5,
    requestVolume: 100,
    stdevFactor: 1900,
  },
  failurePercentage: {
    thresholdPercent: 85,
    enforcingPercent: 0,
    enforcingLocalOriginPercent: 0,
    minHosts: 5,
    requestVolume: 50,
  },
};

const answer = (status: number): OutlierResult => ({ kind: "answer", status });
const unreachable: OutlierResult = { kind: "local-failure", status: 503 };

function rig(more: Partial<OutlierConfig> = {}, hosts = 4) {
  const clock = new FakeClock();
  let changes = 0;
  const detector = new OutlierDetector(
    { ...config, ...more },
    { clock, random: () => 0.5, changed: () => changes++ },
  );
  const records = Array.from({ length: hosts }, () => new OutlierRecord());
  for (const record of records) detector.add(record);
  const [first = new OutlierRecord(), ...others] = records;
  const note = (results: readonly OutlierResult[], record = first): void => {
    for (const result of results) detector.note(record, result);
  };
  return { clock, detector, records, first, others, note, changes: () => changes };
}

const out = (record: OutlierRecord): boolean => record.ejectedAtMs !== undefined;

describe("consecutive failures", () => {
  test("so many in a row eject, one success in between starts anew", () => {
    const { first, note, changes } = rig();
    note([answer(500), answer(503), answer(200), answer(500), answer(500)]);
    assert.equal(out(first), false);
    note([answer(500)]);
    assert.equal(out(first), true);
    assert.equal(changes(), 1);
  });

  test("an endpoint that cannot be reached counts as 503", () => {
    const { first, note } = rig();
    note([unreachable, { kind: "connected" }, unreachable, unreachable]);
    assert.equal(out(first), true);
  });

  test("gateway failures are 502, 503 and 504 only", () => {
    const { first, note } = rig({
      consecutive5xx: off,
      consecutiveGateway: { threshold: 2, enforcingPercent: 100 },
    });
    note([answer(502), answer(500), answer(504)]);
    assert.equal(out(first), false);
    note([answer(503)]);
    assert.equal(out(first), true);
  });

  test("split: what we could not reach is counted apart from what it answered", () => {
    const { first, others, note } = rig({
      splitLocalOrigin: true,
      consecutiveLocalOrigin: { threshold: 2, enforcingPercent: 100 },
    });
    note([answer(500), answer(500), unreachable, { kind: "connected" }, unreachable]);
    assert.equal(out(first), false);
    note([unreachable]);
    assert.equal(out(first), true);
    const [second = first] = others;
    note([answer(500), unreachable, answer(500), answer(500)], second);
    assert.equal(out(second), true);
  });

  test("a rule that is not enforced only counts", () => {
    const { first, detector, note } = rig({
      consecutive5xx: { threshold: 1, enforcingPercent: 0 },
    });
    note([answer(500)]);
    assert.equal(out(first), false);
    assert.equal(detector.counts.byRule.get("consecutive-5xx"), 1);
  });
});

describe("limits", () => {
  test("never more than the share of all", () => {
    const { records, detector, note } = rig();
    for (const record of records) note([answer(500), answer(500), answer(500)], record);
    assert.equal(records.filter(out).length, 2);
    assert.equal(detector.counts.overflow, 2);
    assert.equal(detector.counts.active, 2);
  });

  test("one of few may go though the share is too small, if so configured", () => {
    const strict = rig({ maxEjectionPercent: 10 });
    strict.note([answer(500), answer(500), answer(500)]);
    assert.equal(out(strict.first), false);
    const lenient = rig({ maxEjectionPercent: 10, alwaysEjectOne: true });
    lenient.note([answer(500), answer(500), answer(500)]);
    assert.equal(out(lenient.first), true);
  });

  test("an endpoint that leaves makes room for another", () => {
    const { records, detector, note } = rig({ maxEjectionPercent: 25 });
    const [a, b] = records;
    assert.ok(a && b);
    const bad = [answer(500), answer(500), answer(500)];
    note(bad, a);
    note(bad, b);
    assert.equal(out(b), false);
    detector.remove(a);
    detector.add(new OutlierRecord());
    note(bad, b);
    assert.equal(out(b), true);
  });
});

describe("time", () => {
  test("it comes back at the first look after its time, longer each time, shorter after peace", async () => {
    const { clock, first, note } = rig();
    const bad = [answer(500), answer(500), answer(500)];
    note(bad);
    await clock.advance(29_999);
    assert.equal(out(first), true);
    await clock.advance(1);
    assert.equal(out(first), false);
    note(bad);
    await clock.advance(59_000);
    assert.equal(out(first), true);
    await clock.advance(1_000);
    assert.equal(out(first), false);
    // Two quiet looks take the lengthening away again.
    await clock.advance(20_000);
    note(bad);
    await clock.advance(30_000);
    assert.equal(out(first), false);
  });

  test("never longer than the maximum", async () => {
    const { clock, first, note } = rig({ maxEjectionMs: 40_000 });
    const bad = [answer(500), answer(500), answer(500)];
    for (const lastsMs of [30_000, 40_000, 40_000]) {
      note(bad);
      await clock.advance(lastsMs);
      assert.equal(out(first), false);
    }
  });

  test("the failures of before do not count after the return", async () => {
    const { clock, first, note } = rig({
      consecutiveGateway: { threshold: 4, enforcingPercent: 100 },
    });
    note([answer(503), answer(503), answer(503)]);
    await clock.advance(30_000);
    note([answer(503)]);
    assert.equal(out(first), false);
  });

  test("closing lets everybody back in and leaves no timer", () => {
    const { clock, first, detector, note } = rig();
    note([answer(500), answer(500), answer(500)]);
    detector.close();
    assert.equal(out(first), false);
    assert.equal(clock.pending, 0);
  });
});

describe("rates", () => {
  test("far below the mean is out", async () => {
    const { clock, records, first, note } = rig(
      { consecutive5xx: off, successRate: { ...config.successRate, enforcingPercent: 100 } },
      10,
    );
    for (const record of records)
      note(
        Array.from({ length: 100 }, (_, at) =>
          answer(record === first && at % 2 === 0 ? 500 : 200),
        ),
        record,
      );
    await clock.advance(10_000);
    assert.deepEqual(records.filter(out), [first]);
  });

  test("nobody is judged by too few requests or among too few hosts", async () => {
    const few = rig(
      { consecutive5xx: off, successRate: { ...config.successRate, enforcingPercent: 100 } },
      4,
    );
    for (const record of few.records)
      few.note(
        Array.from({ length: 100 }, () => answer(record === few.first ? 500 : 200)),
        record,
      );
    await few.clock.advance(10_000);
    assert.equal(out(few.first), false);
  });

  test("a percentage of failures is out", async () => {
    const { clock, records, first, note } = rig(
      {
        consecutive5xx: off,
        failurePercentage: { ...config.failurePercentage, enforcingPercent: 100 },
      },
      6,
    );
    for (const record of records)
      note(
        Array.from({ length: 50 }, (_, at) => answer(record === first && at < 43 ? 500 : 200)),
        record,
      );
    await clock.advance(10_000);
    assert.deepEqual(records.filter(out), [first]);
    // What was counted before the look does not count twice.
    await clock.advance(40_000);
    assert.equal(out(first), false);
  });
});
