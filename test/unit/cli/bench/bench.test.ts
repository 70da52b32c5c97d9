import assert from "node:assert/strict";
import { test } from "node:test";
import { compare, median, summarize } from "../../../../src/cli/bench/figures.ts";
import { parseH2loadLog } from "../../../../src/cli/bench/loads/h2load.ts";
import { parseIperf } from "../../../../src/cli/bench/loads/iperf.ts";
import { parseWrk } from "../../../../src/cli/bench/loads/wrk.ts";
import { planRuns } from "../../../../src/cli/bench/plan.ts";
import { renderHtml } from "../../../../src/cli/bench/report/html.ts";
import { renderTable } from "../../../../src/cli/bench/report/table.ts";
import { renderVersions } from "../../../../src/cli/bench/report/versions.ts";
import type { RunResult, Sample } from "../../../../src/cli/bench/spec.ts";

const wrkReport = `Running 2s test @ http://10.96.0.21:7000/1k
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.40ms  504.76us   8.18ms   87.93%
    Req/Sec    21.00k   198.40     3.83k    66.67%
  Latency Distribution
     50%    1.50ms
     75%    2.00ms
     90%    2.16ms
     99%    1.20s
  42000 requests in 2.00s, 8.83MB read
  Socket errors: connect 0, read 1, write 0, timeout 2
  Non-2xx or 3xx responses: 4
Requests/sec:  21000.05
Transfer/sec:      4.20MB
`;

test("wrk's report is read in milliseconds, with every kind of failure", () => {
  const result = parseWrk(wrkReport);
  assert.deepEqual(result, {
    requests: 42_000,
    perSecond: 21_000.05,
    p50Ms: 1.5,
    p90Ms: 2.16,
    p99Ms: 1_200,
    failed: 7,
  });
  assert.throws(() => parseWrk("unable to connect"), /made no requests: unable to connect/);
});

test("iperf3 counts what was received, and its refusals are errors", () => {
  const report = { end: { sum_received: { bytes: 1e9, bits_per_second: 8e9 } } };
  assert.deepEqual(parseIperf(JSON.stringify(report)), { bytes: 1e9, gbitPerSecond: 8 });
  assert.throws(() => parseIperf('{"error":"connection refused"}'), /connection refused/);
});

test("h2load's log gives percentiles of good answers", () => {
  const lines = Array.from({ length: 1_000 }, (_, index) => `1\t200\t${(index + 1) * 1_000}`);
  const result = parseH2loadLog([...lines, "1\t503\t1", ""].join("\n"));
  assert.equal(result.requests, 1_000);
  assert.equal(result.p50Ms, 500.5);
  assert.equal(result.p99Ms, 991);
  assert.equal(result.p999Ms, 1_000);
  assert.throws(() => parseH2loadLog("1\t503\t1\n"), /no good answer/);
});

function run(stack: RunResult["stack"], rate: number, cpu?: number, variant = ""): RunResult {
  const samples: Sample[] = [{ load: "http-32", figure: "rate", unit: "1/s", value: rate }];
  if (cpu !== undefined)
    samples.push(
      { load: "http-32", figure: "CPU", unit: "us CPU/request", value: cpu },
      { load: "memory", figure: "data path, loaded", unit: "MB", value: 150 },
    );
  return { stack, variant, samples, missing: [] };
}

test("rounds become medians with their spread", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  const [direct] = summarize([run("direct", 100), run("direct", 300), run("direct", 200)]);
  assert.deepEqual(direct?.figures[0], {
    load: "http-32",
    figure: "rate",
    unit: "1/s",
    values: [100, 200, 300],
    median: 200,
    lowest: 100,
    highest: 300,
  });
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
  assert.equal(compare(before, same)[0]?.beyondNoise, false);
  assert.equal(compare(before, better)[0]?.beyondNoise, true);
  assert.match(renderVersions(before, same), /0 of 1 figures changed/);
  assert.match(renderVersions(before, better), /1\.32x better \(1\/s\)/);
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

test("the table and the page show every stack, the ratios, the cost and what is absent", () => {
  const results = [run("direct", 50_000), run("ambit", 25_000, 40), run("sidecars", 10_000, 120)];
  const report = {
    takenAt: environment.takenAt,
    command: "npm run bench",
    environment,
    rounds: 1,
    secondsPerLoad: 1,
    stacks: summarize(results),
    absent: [{ what: "ztunnel", reason: "ZTUNNEL_BIN names no binary" }],
    results,
  };
  const table = renderTable(report);
  assert.match(table, /ambit +25000 \(2\.50x\)/);
  assert.match(table, /ambit +0\.04 vCPU, 150 MB/);
  assert.match(table, /not measured: ztunnel: ZTUNNEL_BIN names no binary/);
  const page = renderHtml(report);
  assert.match(page, /a &#60;CPU&#62;/);
  assert.doesNotMatch(page, /https?:\/\/(?!www\.w3\.org)/);
  assert.equal(page.match(/class="bar sidecars"/g)?.length, 3);
});

test("stacks take turns in going first, and larger meshes come once at the end", () => {
  const stacks = (["direct", "ambit"] as const).map((stack) => ({
    stack,
    variant: "",
    program: [],
  }));
  const contents = [{ policies: 100, workloads: 0 }];
  const runs = planRuns({
    stacks,
    loads: ["http-1"],
    rounds: 2,
    seconds: 1,
    idleConnections: 1,
    contents,
  });
  assert.deepEqual(
    runs.map(({ stack, variant }) => `${stack} ${variant}`.trim()),
    ["direct", "ambit", "ambit", "direct", "ambit 100 policies, 0 workloads"],
  );
});

test("Envoy in the waypoint's place gets the loads that it is set up for", () => {
  const stacks = [{ stack: "envoy-waypoint", variant: "", program: [] }] as const;
  const loads = ["bulk-1", "http-32", "connections"] as const;
  const [run] = planRuns({
    stacks,
    loads,
    rounds: 1,
    seconds: 1,
    idleConnections: 1,
    contents: [],
  });
  assert.deepEqual(run?.loads, ["http-32"]);
});
