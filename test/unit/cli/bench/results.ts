/** Results of benchmarks that were never run. */
import { summarize } from "../../../../src/cli/bench/figures.ts";
import type { Report } from "../../../../src/cli/bench/report/report.ts";
import type { MeshContent, RunResult, Sample, Unit } from "../../../../src/cli/bench/spec.ts";

type Given = readonly [load: Sample["load"], figure: string, unit: Unit, value: number];

export function result(
  stack: RunResult["stack"],
  given: readonly Given[],
  { variant = "", content }: { variant?: string; content?: MeshContent } = {},
): RunResult {
  const samples = given.map(([load, figure, unit, value]) => ({ load, figure, unit, value }));
  return { stack, variant, ...(content === undefined ? {} : { content }), samples, missing: [] };
}

export function run(
  stack: RunResult["stack"],
  rate: number,
  cpu?: number,
  variant = "",
): RunResult {
  const more: Given[] =
    cpu === undefined
      ? []
      : [
          ["http-32", "CPU", "us CPU/request", cpu],
          ["memory", "data path, loaded", "MB", 150],
        ];
  return result(stack, [["http-32", "rate", "1/s", rate], ...more], { variant });
}

export const larger: readonly RunResult[] = [
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

export function reportOf(results: readonly RunResult[]): Report {
  return {
    takenAt: environment.takenAt,
    command: "npm run bench",
    call: "npm run bench --",
    environment,
    rounds: 1,
    secondsPerLoad: 1,
    warmUpMs: 1_000,
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
