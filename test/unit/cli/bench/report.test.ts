/** From samples to what a reader sees. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { compare, median, summarize } from "../../../../src/cli/bench/figures.ts";
import { callOf, commandForLoad, commandOf } from "../../../../src/cli/bench/report/commands.ts";
import { costColumns, costPerObject } from "../../../../src/cli/bench/report/derive.ts";
import { renderHtml } from "../../../../src/cli/bench/report/html.ts";
import { limitOf, ownLimits } from "../../../../src/cli/bench/report/limits.ts";
import { formatRatio, ratiosOf } from "../../../../src/cli/bench/report/ratios.ts";
import type { Report } from "../../../../src/cli/bench/report/report.ts";
import { renderSummary } from "../../../../src/cli/bench/report/summary.ts";
import { renderTable } from "../../../../src/cli/bench/report/table.ts";
import { alignColumns, formatShort } from "../../../../src/cli/bench/report/text.ts";
import { renderVersions } from "../../../../src/cli/bench/report/versions.ts";
import type { MeshContent, RunResult, Sample, Unit } from "../../../../src/cli/bench/spec.ts";

type Given = readonly [load: Sample["load"], figure: string, unit: Unit, value: number];

function result(
  stack: RunResult["stack"],
  given: readonly Given[],
  { variant = "", content }: { variant?: string; content?: MeshContent } = {},
): RunResult {
  const samples = given.map(([load, figure, unit, value]) => ({ load, figure, unit, value }));
  return { stack, variant, ...(content === undefined ? {} : { content }), samples, missing: [] };
}

function run(stack: RunResult["stack"], rate: number, cpu?: number, variant = ""): RunResult {
  const more: Given[] =
    cpu === undefined
      ? []
      : [
          ["http-32", "CPU", "us CPU/request", cpu],
          ["memory", "data path, loaded", "MB", 150],
        ];
  return result(stack, [["http-32", "rate", "1/s", rate], ...more], { variant });
}

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

const larger: readonly RunResult[] = [
  result("ambit", [
    ["memory", "one ztunnel, idle", "MB", 40],
    ["memory", "one controlplane, idle", "MB", 100],
    ["start", "CPU, one controlplane", "ms CPU", 500],
    ["http-32", "rate", "1/s", 25_000],
  ]),
  result(
    "ambit",
    [
      ["memory", "one ztunnel, idle", "MB", 50],
      ["memory", "one controlplane, idle", "MB", 200],
      ["start", "CPU, one controlplane", "ms CPU", 1_500],
      ["http-32", "rate", "1/s", 24_000],
    ],
    { variant: "1 policy, 10000 workloads", content: { policies: 1, workloads: 10_000 } },
  ),
];

test("what one more workload costs is the difference to the small mesh", () => {
  const [cost] = costPerObject(summarize(larger));
  assert.equal(cost?.object, "workload");
  assert.deepEqual(cost?.roles, [
    { name: "controlplane", memoryKb: 10.24, startCpuUs: 100 },
    { name: "ztunnel", memoryKb: 1.024, startCpuUs: undefined },
  ]);
});

const environment = {
  takenAt: "2026-11-21T12:00:00Z",
  cpu: "a <CPU>",
  cores: 2,
  memoryGb: 24,
  kernel: "6.18",
  node: "v24.0.0",
  openssl: "3.0",
  loadBefore: 0.1,
  tools: ["wrk 4"],
};

function reportOf(results: readonly RunResult[]): Report {
  return {
    takenAt: environment.takenAt,
    command: "npm run bench",
    call: "npm run bench --",
    environment,
    rounds: 1,
    secondsPerLoad: 1,
    warmUpMs: 300,
    idleConnections: 1_000,
    tookSeconds: 60,
    stacks: summarize(results),
    micro: [
      { subject: "HPACK", name: "decode", nsPerOperation: [100, 110, 120], bytesPerOperation: 64 },
    ],
    absent: [{ what: "ztunnel", reason: "ZTUNNEL_BIN names no binary" }],
    results,
  };
}

test("the table and the page show every stack, the ratios, the cost and what is absent", () => {
  const results = [run("direct", 50_000), run("ambit", 25_000, 40), run("sidecars", 10_000, 120)];
  const report = reportOf(results);
  const table = renderTable(report);
  assert.match(table, /ambit : sidecars +ambit : direct/);
  assert.match(table, /http-32 rate \(1\/s\) +2\.50 +0\.50/);
  assert.match(table, /ambit +25000 +40\.0/);
  assert.match(table, /ambit +0\.040 +150 +reckoned/);
  assert.match(table, /http-32 +50000 1\/s/);
  assert.match(table, /HPACK: decode +110 +100..120 +64/);
  assert.match(table, /not measured: ztunnel: ZTUNNEL_BIN names no binary/);
  const page = renderHtml(report);
  assert.match(page, /a &#60;CPU&#62;/);
  assert.match(page, /HPACK: decode/);
  // Nothing is fetched.
  assert.doesNotMatch(page, /https?:\/\/|<script|<link|@import|src=/);
  assert.equal(page.match(/class="bar sidecars"/g)?.length, 3);
  const summary = renderSummary(report);
  assert.match(summary, /\| http-32 rate \(1\/s\) \| 2\.50 \| 0\.50 \|/);
});

test("every plot and table of the page says how it is measured again", () => {
  const page = renderHtml(reportOf([run("direct", 50_000), ...larger]));
  const pictures = (page.match(/<svg |<table>/g) ?? []).length;
  assert.ok(pictures > 5);
  assert.equal((page.match(/class="again"/g) ?? []).length, pictures);
  assert.match(
    page,
    /npm run bench -- --stacks ambit --loads cold,http-32,connections --contents 10000w/,
  );
  assert.match(page, /npm run bench -- micro/);
});

describe("commands", () => {
  const report = reportOf([run("ztunnel", 1), run("ambit", 1)]);
  test("name stacks, loads and effort", () =>
    assert.equal(
      commandForLoad(report, "http-32"),
      "ZTUNNEL_BIN=<binary> npm run bench -- --stacks ztunnel,ambit --loads cold,http-32 --rounds 1 --seconds 1",
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
    columns.map(({ title }) => title),
    ["ambit : ztunnel"],
  );
  assert.deepEqual(
    rows.map(({ key }) => key),
    ["http-32/rate", "http-32/CPU", "memory/data path, loaded"],
  );
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
