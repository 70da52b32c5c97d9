import assert from "node:assert/strict";
import type { Profiler, Runtime } from "node:inspector";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { encodePprof, type StackProfile } from "../../../../src/shared/profile/pprof.ts";
import { cpuStacks, frameOf, heapStacks } from "../../../../src/shared/profile/v8.ts";
import { ProfileSchema } from "../../../../src/shared/wire/gen/perftools/profiles/profile_pb.js";

function call(functionName: string, url = "", lineNumber = -1): Runtime.CallFrame {
  return { functionName, scriptId: "1", url, lineNumber, columnNumber: 0 };
}

function node(id: number, callFrame: Runtime.CallFrame, children: number[] = []) {
  return { id, callFrame, children };
}

const profile: Profiler.Profile = {
  nodes: [
    node(1, call("(root)"), [2, 4, 5]),
    node(2, call("outer", "file:///a.ts", 9), [3]),
    node(3, call("", "file:///b.ts", 0)),
    node(4, call("(idle)")),
    node(5, call("(garbage collector)")),
  ],
  startTime: 1_000_000,
  endTime: 1_000_950,
  samples: [3, 3, 4, 2, 5],
  timeDeltas: [100, 50, 500, 150, 100],
};

const options = { frequencyHz: 1000, startedAtMs: 5000, find: frameOf };
const inner = { name: "(anonymous)", file: "file:///b.ts", line: 1 };
const outer = { name: "outer", file: "file:///a.ts", line: 10 };

test("each stack carries its samples and the time until the next sample; idling does not count", () => {
  const { samples, durationMs, period } = cpuStacks(profile, options);
  assert.deepEqual(
    samples.toSorted((a, b) => a.values[1]! - b.values[1]!),
    [
      { stack: [{ name: "(garbage collector)", file: "", line: 0 }], values: [1, 50_000] },
      { stack: [outer], values: [1, 100_000] },
      { stack: [inner, outer], values: [2, 550_000] },
    ],
  );
  assert.equal(durationMs, 0.95);
  assert.deepEqual(period, { type: "cpu", unit: "nanoseconds", value: 1_000_000 });
});

test("a profile without samples, and deltas that run backwards", () => {
  assert.deepEqual(cpuStacks({ nodes: [], startTime: 0, endTime: 0 }, options).samples, []);
  const odd = { ...profile, samples: [2, 2, 2], timeDeltas: [10, -5, 20] };
  assert.deepEqual(
    cpuStacks(odd, options).samples.map(({ values }) => values),
    [[3, (20 + 925) * 1000]],
  );
});

test("a stack deeper than ours can get", () => {
  const depth = 20_000;
  const nodes = Array.from({ length: depth }, (_, index) =>
    node(index + 1, call(index === 0 ? "(root)" : "again"), index + 1 < depth ? [index + 2] : []),
  );
  const deep = { nodes, startTime: 0, endTime: 10, samples: [depth], timeDeltas: [0] };
  assert.equal(cpuStacks(deep, options).samples[0]?.stack.length, depth - 1);
});

test("heap: what each stack still holds", () => {
  const head = {
    id: 1,
    callFrame: call("(root)"),
    selfSize: 0,
    children: [
      {
        id: 2,
        callFrame: call("outer", "file:///a.ts", 9),
        selfSize: 0,
        children: [{ id: 3, callFrame: call("", "file:///b.ts", 0), selfSize: 4096, children: [] }],
      },
    ],
  };
  const { samples, sampleTypes } = heapStacks(
    { head },
    { intervalBytes: 512, startedAtMs: 0, durationMs: 1, find: frameOf },
  );
  assert.deepEqual(samples, [{ stack: [inner, outer], values: [4096] }]);
  assert.deepEqual(sampleTypes, [{ type: "inuse_space", unit: "bytes" }]);
});

const written: StackProfile = {
  sampleTypes: [
    { type: "samples", unit: "count" },
    { type: "cpu", unit: "nanoseconds" },
  ],
  samples: [
    { stack: [inner, outer], values: [2, 200_000] },
    { stack: [outer], values: [1, 2 ** 53 - 1] },
  ],
  period: { type: "cpu", unit: "nanoseconds", value: 10_000_000 },
  startedAtMs: 1_790_000_000_000.7,
  durationMs: 1000.25,
};

test("pprof: texts stand once in the table, functions once in theirs", () => {
  const message = fromBinary(ProfileSchema, encodePprof(written, "ambit"));
  const text = (index: bigint): string | undefined => message.stringTable[Number(index)];
  assert.equal(message.stringTable[0], "");
  assert.equal(new Set(message.stringTable).size, message.stringTable.length);
  assert.deepEqual(
    message.sampleType.map(({ type, unit }) => [text(type), text(unit)]),
    [
      ["samples", "count"],
      ["cpu", "nanoseconds"],
    ],
  );
  assert.deepEqual(
    message.function.map((known) => [
      known.id,
      text(known.name),
      text(known.filename),
      known.startLine,
    ]),
    [
      [1n, "(anonymous)", "file:///b.ts", 1n],
      [2n, "outer", "file:///a.ts", 10n],
    ],
  );
  assert.deepEqual(
    message.sample.map(({ locationId, value }) => [locationId, value]),
    [
      [
        [1n, 2n],
        [2n, 200_000n],
      ],
      [[2n], [1n, BigInt(2 ** 53 - 1)]],
    ],
  );
  assert.equal(message.timeNanos, 1_790_000_000_001_000_000n);
  assert.equal(message.durationNanos, 1_000_250_000n);
  assert.equal(message.period, 10_000_000n);
  assert.deepEqual(
    message.mapping.map(({ id, filename, hasFunctions }) => [id, text(filename), hasFunctions]),
    [[1n, "ambit", true]],
  );
  assert.ok(message.location.every(({ mappingId }) => mappingId === 1n));
});
