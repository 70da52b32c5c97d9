/** What V8's profilers tell, as stacks with numbers (Chrome DevTools protocol, domains Profiler and HeapProfiler). Pure. */
import type { HeapProfiler, Profiler, Runtime } from "node:inspector";
import type { Frame, StackProfile } from "./pprof.ts";

/** Finds a function of the running bundle in the source that it was made from. */
export type FindSource = (frame: Runtime.CallFrame) => Frame;

/** What the bundle itself says about a function. */
export function frameOf({ functionName, url, lineNumber }: Runtime.CallFrame): Frame {
  return {
    name: functionName === "" ? "(anonymous)" : functionName,
    file: url,
    // V8 counts from 0, and gives -1 to what is no function of ours.
    line: Math.max(0, lineNumber + 1),
  };
}

interface TreeNode {
  readonly callFrame: Runtime.CallFrame;
}

/** Every node but the root, with the one above it. */
function parents<N extends TreeNode>(
  root: N,
  children: (node: N) => readonly N[],
): ReadonlyMap<N, N> {
  const found = new Map<N, N>();
  // Not recursive: a stack may be deeper than ours can get.
  const open = [root];
  for (let next = open.pop(); next !== undefined; next = open.pop())
    for (const child of children(next)) {
      found.set(child, next);
      open.push(child);
    }
  return found;
}

/** From a node up to below the root. */
function stackOf<N extends TreeNode>(
  node: N,
  parentOf: ReadonlyMap<N, N>,
  find: FindSource,
): readonly Frame[] {
  const stack: Frame[] = [];
  let at = node;
  for (let above = parentOf.get(at); above !== undefined; above = parentOf.get(at)) {
    stack.push(find(at.callFrame));
    at = above;
  }
  return stack;
}

interface Ticks {
  count: number;
  micros: number;
}

/** A sample lasts until the next one. */
function ticksByNode(profile: Profiler.Profile): ReadonlyMap<number, Ticks> {
  const { samples = [], timeDeltas = [], startTime, endTime } = profile;
  const ticks = new Map<number, Ticks>();
  let now = startTime;
  for (const [index, node] of samples.entries()) {
    now += timeDeltas[index] ?? 0;
    const lasted = timeDeltas[index + 1] ?? endTime - now;
    const found = ticks.get(node) ?? { count: 0, micros: 0 };
    found.count++;
    // V8 delivers samples of several buffers, now and then out of order.
    found.micros += Math.max(0, lasted);
    ticks.set(node, found);
  }
  return ticks;
}

/** What took time; waiting for events does not. */
export function cpuStacks(
  profile: Profiler.Profile,
  options: {
    readonly frequencyHz: number;
    readonly startedAtMs: number;
    readonly find: FindSource;
  },
): StackProfile {
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const root = profile.nodes.find(({ callFrame }) => callFrame.functionName === "(root)");
  const childrenOf = (node: Profiler.ProfileNode): Profiler.ProfileNode[] =>
    (node.children ?? []).flatMap((id) => byId.get(id) ?? []);
  const parentOf: ReadonlyMap<Profiler.ProfileNode, Profiler.ProfileNode> =
    root === undefined ? new Map() : parents(root, childrenOf);
  const ticks = ticksByNode(profile);
  return {
    sampleTypes: [
      { type: "samples", unit: "count" },
      { type: "cpu", unit: "nanoseconds" },
    ],
    samples: [...parentOf.keys()].flatMap((node) => {
      const spent = ticks.get(node.id);
      if (spent === undefined || node.callFrame.functionName === "(idle)") return [];
      const stack = stackOf(node, parentOf, options.find);
      return [{ stack, values: [spent.count, spent.micros * 1000] }];
    }),
    period: { type: "cpu", unit: "nanoseconds", value: Math.round(1e9 / options.frequencyHz) },
    startedAtMs: options.startedAtMs,
    durationMs: (profile.endTime - profile.startTime) / 1000,
  };
}

/** What was allocated while V8 sampled, and is still there. */
export function heapStacks(
  profile: HeapProfiler.SamplingHeapProfile,
  options: {
    readonly intervalBytes: number;
    readonly startedAtMs: number;
    readonly durationMs: number;
    readonly find: FindSource;
  },
): StackProfile {
  const parentOf = parents(profile.head, ({ children }) => children);
  return {
    sampleTypes: [{ type: "inuse_space", unit: "bytes" }],
    samples: [...parentOf.keys()]
      .filter(({ selfSize }) => selfSize > 0)
      .map((node) => ({
        stack: stackOf(node, parentOf, options.find),
        values: [Math.round(node.selfSize)],
      })),
    period: { type: "space", unit: "bytes", value: options.intervalBytes },
    startedAtMs: options.startedAtMs,
    durationMs: options.durationMs,
  };
}
