/** From samples to what a reader sees. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { versionLine } from "../../../../src/cli/bench/environment.ts";
import { compare, median, summarize } from "../../../../src/cli/bench/figures.ts";
import { callOf, commandForLoad, commandOf } from "../../../../src/cli/bench/report/commands.ts";
import { absentOf, costColumns, costPerObject } from "../../../../src/cli/bench/report/derive.ts";
import { limitOf, ownLimits } from "../../../../src/cli/bench/report/limits.ts";
import {
  formatRatio,
  formatRatioRange,
  ratiosOf,
} from "../../../../src/cli/bench/report/ratios.ts";
import { renderSummary } from "../../../../src/cli/bench/report/summary.ts";
import { renderTable } from "../../../../src/cli/bench/report/table.ts";
import { alignColumns, formatShort } from "../../../../src/cli/bench/report/text.ts";
import { renderVersions } from "../../../../src/cli/bench/report/versions.ts";
import { larger, reportOf, result, run } from "./results.ts";

test("rounds become medians with their spread", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  const [direct] = summarize([run("direct", 100), run("direct", 300), run("direct", 200)]);
  const [figure] = direct?.figures ?? [];
  assert.deepEqual(figure, {
    load: "http-32",
    figure: "rate",
    unit: "1/s",
    values: [100, 200, 300],
    median: 200,
    lowest: 100,
    highest: 300,
  });
  assert.equal(formatShort(figure), "200 ±50%");
});

test("a change counts only when the rounds of both do not overlap", () => {
  const [before, same, better] = summarize([
    run("ambit", 100, undefined, "old"),
    run("ambit", 120, undefined, "old"),
    run("ambit", 115, undefined, "same"),
    run("ambit", 130, undefined, "same"),
    run("ambit", 140, undefined, "better"),
    run("ambit", 150, undefined, "better"),
  ]);
  assert.ok(before && same && better);
  const [overlapping, apart] = [compare(before, same)[0], compare(before, better)[0]];
  assert.equal(overlapping?.beyondNoise, false);
  assert.equal(apart?.beyondNoise, true);
  assert.equal(formatRatio(overlapping, 2), "~1.11");
  assert.equal(formatRatio(apart, 2), "1.32");
  assert.equal(formatRatio(overlapping, 1), "1.11");
  assert.match(renderVersions(before, same), /0 of 1 figures changed/);
  assert.match(renderVersions(before, better), /http-32 rate \(1\/s\) +1\.32x +better/);
});

test("two versions are not called different for one percent", () => {
  const [old, now] = summarize([
    run("ambit", 1_000, undefined, "old"),
    run("ambit", 1_010, undefined, "now"),
  ]);
  assert.ok(old && now);
  assert.match(renderVersions(old, now), /0 of 1 figures changed/);
});

describe("cost of 1000 requests a second", () => {
  test("is what was measured at that rate", () => {
    const [stack] = summarize([
      result("ambit", [
        ["http-32", "CPU", "us CPU/request", 40],
        ["rate-32", "CPU", "us CPU/request", 200],
        ["rate-32", "data path", "MB", 120],
      ]),
    ]);
    assert.ok(stack);
    assert.deepEqual(costColumns(stack), { vcpu: 0.2, memoryMb: 120, atRate: true });
  });
  test("is reckoned from the fastest load otherwise, and nothing without processes", () => {
    const [ambit, direct] = summarize([run("ambit", 1, 40), run("direct", 1)]);
    assert.ok(ambit && direct);
    assert.deepEqual(costColumns(ambit), { vcpu: 0.04, memoryMb: 150, atRate: false });
    assert.equal(costColumns(direct), undefined);
  });
});

describe("near the load generator's own limit", () => {
  const stacks = summarize([
    result("direct", [
      ["http-32", "rate", "1/s", 50_000],
      ["http-32", "load generator", "cores", 0.6],
      ["http-32", "servers", "cores", 0.9],
      ["rate-1", "rate", "1/s", 1_000],
    ]),
    result("ambit", [
      ["http-32", "rate", "1/s", 45_000],
      ["rate-1", "rate", "1/s", 999],
    ]),
    result("sidecars", [
      ["http-32", "rate", "1/s", 7_000],
      ["rate-1", "rate", "1/s", 700],
    ]),
    result("ztunnel", [
      ["http-32", "rate", "1/s", 20_000],
      ["http-32", "load generator", "cores", 0.95],
    ]),
  ]);
  const [direct, ambit, sidecars, ztunnel] = stacks;
  test("is what goes without a mesh, with how busy both ends are", () => {
    assert.deepEqual(ownLimits(stacks, ["bulk-1", "http-32"]), [
      { load: "http-32", figure: "rate", most: 50_000, generatorCores: 0.6, serverCores: 0.9 },
    ]);
  });
  test("is a rate close to that, or a generator that is busy all the time", () => {
    assert.ok(direct && ambit && sidecars && ztunnel);
    assert.match(limitOf(ambit, stacks, "http-32") ?? "", /90 % of what goes without a mesh/);
    assert.match(limitOf(ztunnel, stacks, "http-32") ?? "", /0\.95 of one core/);
    assert.equal(limitOf(sidecars, stacks, "http-32"), undefined);
    assert.equal(limitOf(direct, stacks, "http-32"), undefined);
  });
  test("is something else at a fixed rate: whether it was kept", () => {
    assert.ok(ambit && sidecars);
    assert.equal(limitOf(ambit, stacks, "rate-1"), undefined);
    assert.match(limitOf(sidecars, stacks, "rate-1") ?? "", /did not keep the pace/);
  });
});

test("what one more workload costs is the difference to the small mesh", () => {
  const [cost] = costPerObject(summarize(larger));
  assert.equal(cost?.object, "workload");
  assert.deepEqual(cost?.roles, [
    { name: "controlplane", memoryKb: 10.24, startCpuUs: 100 },
    { name: "ztunnel", memoryKb: 1.024, startCpuUs: undefined },
  ]);
});

test("the table shows every stack, the ratios, the cost and what is absent", () => {
  const results = [run("direct", 50_000), run("ambit", 25_000, 40), run("sidecars", 5_000, 120)];
  const table = renderTable(reportOf(results));
  assert.match(table, /ambit : +ambit :\n +direct +sidecars\n/);
  assert.match(table, /http-32 rate \(1\/s\) +0\.50 +5\.00/);
  assert.match(table, /ambit +25\.0k +40\.0/);
  assert.match(table, /ambit +0\.040 +150 +reckoned/);
  assert.match(table, /http-32 +50\.0k 1\/s/);
  assert.match(table, /HPACK: decode +110 +100..120 +64/);
  assert.match(table, /not measured: ztunnel: ZTUNNEL_BIN names no binary/);
});

describe("the summary", () => {
  const rounds = [
    ...[20, 22].map((value) => run("ambit", value, 3)),
    ...[40, 44].map((value) => run("sidecars", value, 4)),
  ];
  test("says what is worse, and which way is better", () => {
    const summary = renderSummary({ ...reportOf(rounds), rounds: 2 });
    assert.match(summary, /\| http-32 rate \(1\/s ↑\) \| \*\*0\.50\*\* \|/);
    assert.match(summary, /\| http-32 CPU \(us CPU\/request ↓\) \| 0\.75 \|/);
    assert.match(summary, /- http-32: 1 KB answers, 32 clients/);
  });
  test("judges nothing by one round, and tells reckoned cost from measured", () => {
    const summary = renderSummary(reportOf([run("ambit", 20, 3), run("sidecars", 40, 4)]));
    assert.match(summary, /\| http-32 rate \(1\/s ↑\) \| 0\.50 \|/);
    assert.match(summary, /\| ambit \| 0\.003 \| 150 \| reckoned from http-32/);
  });
});

test("loads that others had are said to be absent once, with the reason", () => {
  const report = reportOf([
    result("ambit", [
      ["connections", "rate", "1/s", 2_000],
      ["idle", "memory", "KB/connection", 12],
    ]),
    result("direct", [["connections", "rate", "1/s", 9_000]]),
    result("sidecars", [["idle", "memory", "KB/connection", 15]]),
    result("ztunnel", [["sizes", "rate", "1/s", 2_000]]),
  ]);
  const failed = { what: "ztunnel: idle", reason: "it broke" };
  assert.deepEqual(absentOf({ ...report, absent: [failed] }), [
    failed,
    { what: "ambit: sizes", reason: "not asked for at that time" },
    { what: "direct: sizes", reason: "not asked for at that time" },
    { what: "direct: idle", reason: "there is no proxy to look at" },
    { what: "sidecars: connections, sizes", reason: "not asked for at that time" },
    { what: "ztunnel: connections", reason: "not asked for at that time" },
  ]);
});

describe("commands", () => {
  const report = reportOf([run("ztunnel", 1), run("ambit", 1)]);
  const stacks = "ZTUNNEL_BIN=<binary> npm run bench -- --stacks ztunnel,ambit";
  test("name stacks, loads and effort", () => {
    const words = "--rounds 1 --seconds 1";
    assert.equal(commandForLoad(report, "http-32"), `${stacks} --loads cold,http-32 ${words}`);
    assert.equal(commandForLoad(report, "cold"), `${stacks} --loads cold ${words}`);
    assert.equal(commandForLoad(report, "push"), `${stacks} --loads cold ${words}`);
  });
  test("are those of the whole for memory, which grows with all loads", () =>
    assert.equal(commandForLoad(report, "memory"), report.command));
  test("keep the short warm-up of a quick benchmark", () =>
    assert.equal(
      commandForLoad({ ...report, warmUpMs: 300 }, "http-1"),
      `${stacks} --loads cold,http-1 --quick --rounds 1 --seconds 1`,
    ));
  test("are those of the image outside a checkout", () => {
    assert.equal(callOf({}), "ambit bench");
    assert.equal(callOf({ AMBIT_BENCH_THREAD_CPU: "15" }), "AMBIT_BENCH_THREAD_CPU=15 ambit bench");
    assert.equal(commandOf(callOf({}), ["--quick"], ["ambit"]), "ambit bench --quick");
    assert.equal(commandOf("npm run bench --", [], []), "npm run bench");
  });
});

test("ratios are given for the pairs that were measured", () => {
  const { columns, rows } = ratiosOf(summarize([run("ambit", 20, 1), run("ztunnel", 10, 2)]));
  assert.deepEqual(
    columns.map(({ of, to }) => [of.stack, to.stack]),
    [["ambit", "ztunnel"]],
  );
  assert.deepEqual(
    rows.map(({ key }) => key),
    ["http-32/rate", "http-32/CPU", "memory/data path, loaded"],
  );
});

test("the range of a ratio reaches from the worst to the best of both", () => {
  const [base, other] = summarize([
    ...[10, 20].map((value) => run("direct", value)),
    ...[30, 50].map((value) => run("ambit", value)),
  ]);
  assert.ok(base && other);
  const [comparison] = compare(base, other);
  assert.ok(comparison);
  assert.equal(formatRatioRange(comparison), "1.50..5.00");
  const [single] = compare(base, {
    ...other,
    figures: summarize([run("ambit", 30)])[0]?.figures ?? [],
  });
  assert.ok(single);
  assert.equal(formatRatioRange(single), undefined);
});

test("programs say their versions under their names, and not where they lie", () => {
  assert.equal(versionLine("/opt/x/envoy", "/opt/x/envoy version: 1.40"), "envoy version: 1.40");
  assert.equal(versionLine("/opt/ztunnel", "BuildInfo{1}"), "ztunnel: BuildInfo{1}");
  assert.equal(versionLine("wrk", "wrk 4.1"), "wrk 4.1");
});

test("columns are as wide as their widest cell", () => {
  assert.deepEqual(
    alignColumns([
      ["a", "bb"],
      ["ccc", "d"],
    ]),
    ["  a     bb", "  ccc    d"],
  );
});
