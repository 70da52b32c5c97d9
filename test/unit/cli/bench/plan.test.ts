import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  formatContent,
  type PlanOptions,
  parseContent,
  planRuns,
  runDeadlineMs,
} from "../../../../src/cli/bench/plan.ts";

const options: PlanOptions = {
  own: ["node", "ambit.mjs"],
  stacks: (["direct", "ambit"] as const).map((stack) => ({ stack, variant: "", program: [] })),
  loads: ["http-1"],
  rounds: 2,
  sideRounds: 1,
  seconds: 1,
  warmUpMs: 0,
  idleConnections: 1,
  contents: [],
};

test("stacks take turns in going first, and larger meshes come once at the end", () => {
  const runs = planRuns({ ...options, contents: [{ policies: 100, workloads: 0 }] });
  assert.deepEqual(
    runs.map(({ stack, variant }) => `${stack} ${variant}`.trim()),
    ["direct", "ambit", "ambit", "direct", "ambit 100 policies, 0 workloads"],
  );
});

test("loads beside the chief ones take part in the first rounds only", () => {
  const runs = planRuns({ ...options, loads: ["http-32", "sizes", "idle"] });
  assert.deepEqual(
    runs.map(({ loads }) => loads.join(" ")),
    // Without a mesh there is no proxy whose idle connections cost anything.
    ["http-32 sizes", "http-32 sizes idle", "http-32", "http-32"],
  );
});

test("a stack of its own purpose gets the loads that show it", () => {
  const stacks = [{ stack: "ambit-workers", variant: "", program: [] }] as const;
  const [run] = planRuns({ ...options, stacks, loads: ["bulk-1", "http2", "connections"] });
  assert.deepEqual(run?.loads, ["bulk-1", "connections"]);
});

test("larger meshes get their few loads as far as these are wanted", () => {
  const contents = [{ policies: 1, workloads: 10_000 }];
  const runs = planRuns({ ...options, rounds: 1, contents, loads: ["connections", "bulk-1"] });
  assert.deepEqual(runs.at(-1)?.loads, ["connections"]);
});

describe("a mesh's size on the command line", () => {
  for (const [text, content] of [
    ["100p", { policies: 100, workloads: 0 }],
    ["100000w", { policies: 1, workloads: 100_000 }],
  ] as const)
    test(text, () => {
      assert.deepEqual(parseContent(text), content);
      assert.equal(formatContent(content), text);
    });
  for (const text of ["", "100", "w", "0w", "1x", "1000000w"])
    test(`${JSON.stringify(text)} is none`, () => assert.equal(parseContent(text), undefined));
});

test("a run may take longer the more it has to do, and never for ever", () => {
  const [small] = planRuns(options);
  const contents = [{ policies: 1, workloads: 100_000 }];
  const large = planRuns({ ...options, contents }).at(-1);
  assert.ok(small !== undefined && large !== undefined);
  assert.ok(runDeadlineMs(large) > runDeadlineMs(small) + 60_000);
  assert.ok(runDeadlineMs(large) < 600_000);
});
