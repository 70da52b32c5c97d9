/** What every load needs: where it goes, and what it costs the stack, the servers and the load generator meanwhile. */
import { systemClock } from "../../../shared/base/clock.ts";
import type { Ground } from "../ground.ts";
import { cpuMs, endedChildrenCpuMs } from "../meter.ts";
import type { RunSpec } from "../spec.ts";
import type { Stack } from "../stacks/stack.ts";
import { ports } from "../topology.ts";

export interface LoadContext {
  readonly ground: Ground;
  readonly stack: Stack;
  readonly spec: RunSpec;
}

/** CPU time in milliseconds. */
export interface Cost {
  readonly wallMs: number;
  /** Of the processes on the data path. */
  readonly dataPathMs: number;
  readonly byRole: readonly { readonly name: string; readonly ms: number }[];
  readonly serversMs: number;
  /** Of load generators that ended meanwhile. */
  readonly generatorMs: number;
}

/** Begins to count; the result says what was used since then. */
export function beginMeter({ ground, stack }: LoadContext): () => Cost {
  const servers = ground.serverPids();
  const startedMs = systemClock.monotonicMs();
  const before = stack.dataPath.map(({ pids }) => cpuMs(pids));
  const serversBefore = cpuMs(servers);
  const generatorBefore = endedChildrenCpuMs();
  return () => {
    const byRole = stack.dataPath.map(({ name, pids }, index) => ({
      name,
      ms: cpuMs(pids) - (before[index] ?? 0),
    }));
    return {
      wallMs: systemClock.monotonicMs() - startedMs,
      dataPathMs: byRole.reduce((sum, { ms }) => sum + ms, 0),
      byRole,
      serversMs: cpuMs(servers) - serversBefore,
      generatorMs: endedChildrenCpuMs() - generatorBefore,
    };
  };
}

/** What the stack took while this ran. */
export async function metered<T>(
  context: LoadContext,
  work: () => Promise<T>,
): Promise<{ readonly outcome: T; readonly cost: Cost }> {
  const end = beginMeter(context);
  const outcome = await work();
  return { outcome, cost: end() };
}

/** Runs a load generator in the client's pod; what it printed. */
export async function inClient(
  { ground }: LoadContext,
  command: readonly string[],
): Promise<string> {
  const { code, stdout, stderr } = await ground.inClient(command);
  // iperf3 reports failures in its output and by its exit code.
  if (code !== 0 && stdout === "") throw new Error(`${command[0]}: ${stderr.trim().slice(0, 300)}`);
  return stdout;
}

/** The same load for a moment: code that runs for the first time is slow in every runtime. How it ends does not matter. */
export async function warmUp(context: LoadContext, command: readonly string[]): Promise<void> {
  if (context.spec.warmUpMs === 0) return;
  const seconds = (context.spec.warmUpMs / 1_000).toFixed(1);
  await context.ground.inClient(["timeout", "--signal=INT", seconds, ...command]);
}

export function url({ stack }: LoadContext, path: string, port: number = ports.http): string {
  return `http://${stack.host}:${port}${path}`;
}
