/** The half of a run inside its sandbox: brings one stack up, runs the loads, and gives what it measured. */
import { systemClock } from "../../shared/base/clock.ts";
import { describeError } from "../../shared/base/errors.ts";
import { Ground } from "./ground.ts";
import { runLoad } from "./loads/run.ts";
import { residentMb } from "./meter.ts";
import type { RunResult, RunSpec, Sample } from "./spec.ts";
import { openStack } from "./stacks/open.ts";
import { pidsOf, type Stack } from "./stacks/stack.ts";

const SETTLE_MS = 1_500;

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
  if (stack.dataPath.length > 0)
    samples.push({ load: "start", figure: "ready", unit: "ms", value: stack.startedInMs });
  await systemClock.sleep(SETTLE_MS);
  samples.push(...memory(stack, "idle"));
  // Code that runs for the first time is slow in every runtime; what is measured is the tenth second, not the first.
  await runLoad("http-32", { ...context, spec: { ...spec, seconds: 1 } }).catch(() => undefined);
  for (const load of spec.loads) {
    try {
      samples.push(...(await runLoad(load, context)));
    } catch (thrown) {
      missing.push({ load, reason: describeError(thrown) });
    }
  }
  samples.push(...memory(stack, "loaded"));
  const { pushToEffectMs } = stack;
  if (pushToEffectMs !== undefined)
    for (let round = 0; round < 3; round++)
      samples.push({ load: "push", figure: "effect", unit: "ms", value: await pushToEffectMs() });
  return { stack: spec.stack, variant: spec.variant, samples, missing };
}

/** Resident memory by role: of one process, since a node has one. */
function memory({ dataPath, control }: Stack, when: string): readonly Sample[] {
  const samples = [...dataPath, ...control].map(
    ({ name, pids }): Sample => ({
      load: "memory",
      figure: `one ${name}, ${when}`,
      unit: "MB",
      value: Math.max(...pids.map((pid) => residentMb([pid]))),
    }),
  );
  if (dataPath.length > 0)
    samples.push({
      load: "memory",
      figure: `data path, ${when}`,
      unit: "MB",
      value: residentMb(pidsOf(dataPath)),
    });
  return samples;
}
