/** What load generators and the kernel say, and how they are called. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { h2loadCommand, h2loadDurationsMs } from "../../../../src/cli/bench/loads/h2load.ts";
import { iperfWarmUpCommand, parseIperf } from "../../../../src/cli/bench/loads/iperf.ts";
import { latencyOf } from "../../../../src/cli/bench/loads/latency.ts";
import { parseWrk, wrkCommand } from "../../../../src/cli/bench/loads/wrk.ts";
import { cpuMs, endedChildrenCpuMs, peakMb, residentMb } from "../../../../src/cli/bench/meter.ts";
import { pausesIn } from "../../../../src/cli/bench/pauses.ts";

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
  99.9% is 2345678 us
`;

test("wrk's report is read in milliseconds, with every kind of failure", () => {
  const result = parseWrk(wrkReport);
  assert.deepEqual(result, {
    count: 42_000,
    perSecond: 21_000.05,
    latency: { p50Ms: 1.5, p90Ms: 2.16, p99Ms: 1_200, p999Ms: 2_345.678 },
    failed: 7,
  });
  assert.throws(() => parseWrk("unable to connect"), /made no requests: unable to connect/);
  const failed =
    "  0 requests in 2.10s, 0.00B read\n  Socket errors: connect 0, read 4192, write 0, timeout 0\n";
  assert.throws(() => parseWrk(failed), /no requests: Socket errors: .* read 4192, .* timeout 0$/);
});

test("wrk is given its script and headers", () => {
  const url = "http://a/1k";
  const options = { url, connections: 8, seconds: 2, headers: ["Connection: close"] };
  const command = wrkCommand({ ...options, script: "end.lua" }).join(" ");
  assert.match(
    command,
    /--connections 8 --duration 2s .*--script end\.lua --header Connection: close http:\/\/a\/1k$/,
  );
});

test("iperf3 counts what was received, and its refusals are errors", () => {
  const report = { end: { sum_received: { bytes: 1e9, bits_per_second: 8e9 } } };
  assert.deepEqual(parseIperf(JSON.stringify(report)), { bytes: 1e9, gbitPerSecond: 8 });
  assert.throws(() => parseIperf('{"error":"connection refused"}'), /connection refused/);
  assert.match(
    iperfWarmUpCommand({ host: "a", port: 7001, streams: 4 }, 1_000).join(" "),
    /--port 7001 --parallel 4 --bytes 1000$/,
  );
});

test("h2load's log gives the good answers to what began within a time", () => {
  const lines = Array.from(
    { length: 1_000 },
    (_, index) => `${5_000_000 + index * 1_000}\t200\t${(index + 1) * 1_000}`,
  );
  const log = [...lines, "5000000\t503\t1", ""].join("\n");
  assert.equal(h2loadDurationsMs(log).length, 1_000);
  const middle = h2loadDurationsMs(log, 5_100, 5_200);
  assert.deepEqual([middle.length, middle[0], middle.at(-1)], [100, 101, 200]);
  assert.throws(() => h2loadDurationsMs("1\t503\t1\n"), /no good answer/);
});

test("clients of a fixed rate begin one after the other, a step of the rate apart", () => {
  const shape = {
    url: "http://a",
    streams: 1,
    http1: true,
    logFile: "log",
    rate: 1_000,
    seconds: 3,
  };
  const many = h2loadCommand({ ...shape, clients: 256 }).join(" ");
  assert.match(many, /--rate 1 --rate-period 1ms --rps 3\.90625 --requests 3072/);
  const one = h2loadCommand({ ...shape, clients: 1 }).join(" ");
  assert.match(one, /--rps 1000 --requests 3000/);
  assert.doesNotMatch(one, /--rate/);
});

test("percentiles are those of the sorted durations", () => {
  const durations = Array.from({ length: 1_000 }, (_, index) => 1_000 - index);
  assert.deepEqual(latencyOf(durations), { p50Ms: 500.5, p90Ms: 901, p99Ms: 991, p999Ms: 1_000 });
  assert.deepEqual(latencyOf([7]), { p50Ms: 7, p90Ms: 7, p99Ms: 7, p999Ms: 7 });
});

test("the kernel's counters of a process are read", () => {
  const own = [process.pid];
  assert.ok(cpuMs(own) > 0);
  const before = residentMb(own);
  assert.ok(before > 10);
  assert.ok(peakMb(own) >= before);
  assert.ok(endedChildrenCpuMs() >= 0);
  assert.deepEqual([cpuMs([2 ** 30]), residentMb([2 ** 30])], [0, 0]);
});

test("pauses are read from where the look began, without one that is half written", () => {
  const record = Buffer.alloc(28);
  for (const [index, ms] of [1.5, 2.5, 3.5].entries()) record.writeDoubleLE(ms, index * 8);
  assert.deepEqual(pausesIn(record, 0), [1.5, 2.5, 3.5]);
  assert.deepEqual(pausesIn(record, 8), [2.5, 3.5]);
});
