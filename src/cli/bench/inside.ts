/** The half of a run inside its sandbox: brings one stack up, runs the loads, and gives what it measured. */
import { systemClock } from "../../shared/base/clock.ts";
import { describeError } from "../../shared/base/errors.ts";
import { Ground } from "./ground.ts";
import type { LoadContext } from "./loads/context.ts";
import { runLoad } from "./loads/run.ts";
import { cpuMs, peakMb, residentMb } from "./meter.ts";
import { type LoadName, type RunResult, type RunSpec, type Sample, smallMesh } from "./spec.ts";
import { openStack } from "./stacks/open.ts";
import { pidsOf, type Role, type Stack } from "./stacks/stack.ts";

const SETTLE_MS = 1_500;
const PUSHES = 3;

export async function runInside(spec: RunSpec): Promise<RunResult> {
  const ground = await Ground.open();
  try {
    const stack = await openStack(ground, spec);
    return await measure(ground, stack, spec);
  } finally {
    await ground.close();
  }
}

async function measure(ground: Ground, stack: Stack, spec: RunSpec): Promise<RunResult> {
  const samples: Sample[] = [];
  const missing: { load: string; reason: string }[] = [];
  const context = { ground, stack, spec };
  await systemClock.sleep(SETTLE_MS);
  samples.push(...start(stack), ...memory(stack, "idle"));
  const loaded = new Loaded(stack);
  for (const load of spec.loads) {
    try {
      samples.push(...(await runLoad(load, context)));
    } catch (thrown) {
      missing.push({ load, reason: describeError(thrown) });
    }
    // So many connections are a load of their own, with figures of its own.
    if (load !== "idle") loaded.look();
  }
  samples.push(...loaded.samples());
  samples.push(...(await pauses(context)));
  try {
    samples.push(...(await pushes(stack)));
  } catch (thrown) {
    missing.push({ load: "push", reason: describeError(thrown) });
  }
  const { content, variant } = spec;
  const isSmall = content.policies + content.workloads === smallMesh.policies;
  return { stack: spec.stack, variant, ...(isSmall ? {} : { content }), samples, missing };
}

/** How long the stack took to come up, and what its control plane needed for that. */
function start({ control, dataPath, startedInMs }: Stack): readonly Sample[] {
  if (dataPath.length === 0) return [];
  const cpu = control.map(
    ({ name, pids }): Sample => ({
      load: "start",
      figure: `CPU, one ${name}`,
      unit: "ms CPU",
      value: cpuMs(pids) / pids.length,
    }),
  );
  return [{ load: "start", figure: "ready", unit: "ms", value: startedInMs }, ...cpu];
}

/** Resident memory by role: of one process, since a node has one. */
function memory({ dataPath, control }: Stack, when: string): readonly Sample[] {
  const samples = [...dataPath, ...control].map(
    ({ name, pids }): Sample => ({
      load: "memory",
      figure: `one ${name}, ${when}`,
      unit: "MB",
      value: largest(pids, residentMb),
    }),
  );
  if (dataPath.length === 0) return samples;
  const value = residentMb(pidsOf(dataPath));
  return [...samples, { load: "memory", figure: `data path, ${when}`, unit: "MB", value }];
}

function largest(pids: readonly number[], measure: (pids: readonly number[]) => number): number {
  return Math.max(0, ...pids.map((pid) => measure([pid])));
}

/** The most that was resident after any load, and at any moment. */
class Loaded {
  readonly #stack: Stack;
  readonly #most = new Map<Role, number>();
  #allMb = 0;
  #peaks: readonly Sample[] = [];

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  look(): void {
    const { dataPath, control } = this.#stack;
    for (const role of [...dataPath, ...control])
      this.#most.set(role, Math.max(this.#most.get(role) ?? 0, largest(role.pids, residentMb)));
    this.#allMb = Math.max(this.#allMb, residentMb(pidsOf(dataPath)));
    this.#peaks = dataPath.map(({ name, pids }) => ({
      load: "memory",
      figure: `one ${name}, at most ever`,
      unit: "MB",
      value: largest(pids, peakMb),
    }));
  }

  samples(): readonly Sample[] {
    const sample = (figure: string, value: number): Sample => ({
      load: "memory",
      figure,
      unit: "MB",
      value,
    });
    if (this.#most.size === 0) return [];
    return [
      ...[...this.#most].map(([{ name }, mb]) => sample(`one ${name}, loaded`, mb)),
      ...this.#peaks,
      sample("data path, loaded", this.#allMb),
    ];
  }
}

/** Loads that leave much to the collector, in each of its ways. */
const pauseLoads: ReadonlySet<LoadName> = new Set(["bulk-4", "http-32", "connections", "http2"]);

/** The loads once more, for a second each, with the collector watched. */
async function pauses({ ground, stack, spec }: LoadContext): Promise<readonly Sample[]> {
  if (stack.pauses === undefined) return [];
  const samples: Sample[] = [];
  const pids = pidsOf(stack.dataPath);
  stack.pauses.begin();
  await systemClock.sleep(100);
  for (const load of spec.loads.filter((each) => pauseLoads.has(each))) {
    const lengths = stack.pauses.since(pids);
    const startedMs = systemClock.monotonicMs();
    const short = { ...spec, seconds: 1, warmUpMs: 0 };
    await runLoad(load, { ground, stack, spec: short }).catch(() => undefined);
    const tookMs = systemClock.monotonicMs() - startedMs;
    const pausesMs = lengths();
    const totalMs = pausesMs.reduce((sum, ms) => sum + ms, 0);
    samples.push(
      { load, figure: "GC, longest pause", unit: "ms", value: Math.max(0, ...pausesMs) },
      { load, figure: "GC, all pauses", unit: "%", value: (totalMs / tookMs / pids.length) * 100 },
    );
  }
  return samples;
}

async function pushes({ pushEffectsMs, control }: Stack): Promise<readonly Sample[]> {
  if (pushEffectsMs === undefined) return [];
  const before = control.map(({ pids }) => cpuMs(pids));
  const effects = await pushEffectsMs(PUSHES);
  return [
    ...effects.map((value): Sample => ({ load: "push", figure: "effect", unit: "ms", value })),
    ...control.map(
      ({ name, pids }, index): Sample => ({
        load: "push",
        figure: `CPU, one ${name}`,
        unit: "ms CPU",
        value: (cpuMs(pids) - (before[index] ?? 0)) / effects.length / pids.length,
      }),
    ),
  ];
}
