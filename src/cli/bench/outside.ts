/** Runs a plan: each run in a sandbox of its own, one after the other, with what it measured sent back. */
import { systemClock } from "../../shared/base/clock.ts";
import type { CommandIo } from "../command.ts";
import { type SandboxKind, startInSandbox } from "../world/sandbox.ts";
import { labelOf } from "./figures.ts";
import { runDeadlineMs } from "./plan.ts";
import type { RunResult, RunSpec } from "./spec.ts";

export interface Outcome {
  readonly results: readonly RunResult[];
  readonly absent: readonly { readonly what: string; readonly reason: string }[];
}

export async function runPlan(
  io: CommandIo,
  kind: SandboxKind,
  plan: readonly RunSpec[],
): Promise<Outcome> {
  const results: RunResult[] = [];
  const absent = new Map<string, string>();
  for (const [index, spec] of plan.entries()) {
    if (io.shutdown.aborted) break;
    io.stderr(`ambit bench: ${index + 1}/${plan.length} ${labelOf(spec)}\n`);
    const outcome = await runOnce(io, kind, spec);
    if (outcome.kind === "failed") {
      absent.set(labelOf(spec), outcome.reason);
      continue;
    }
    results.push(outcome.result);
    for (const { load, reason } of outcome.result.missing)
      absent.set(`${labelOf(spec)}: ${load}`, reason);
  }
  return { results, absent: [...absent].map(([what, reason]) => ({ what, reason })) };
}

export type RunOutcome =
  | { readonly kind: "measured"; readonly result: RunResult }
  | { readonly kind: "failed"; readonly reason: string };

function runOnce(io: CommandIo, kind: SandboxKind, spec: RunSpec): Promise<RunOutcome> {
  const command = [...spec.own, "bench", "--inside", JSON.stringify(spec)];
  const child = startInSandbox(kind, command, ["ignore", "ignore", "pipe", "ipc"]);
  const said: string[] = [];
  child.stderr?.setEncoding("utf8").on("data", (text: string) => said.push(text));
  const end = (): void => void child.kill("SIGKILL");
  io.shutdown.addEventListener("abort", end, { once: true });
  const deadline = systemClock.after(runDeadlineMs(spec), () => {
    outcome = { kind: "failed", reason: "it did not end in time" };
    end();
  });
  let outcome: RunOutcome | undefined;
  return new Promise((resolve) => {
    child.on("message", (message) => {
      outcome = message as RunOutcome;
      end();
    });
    child.once("exit", () => {
      io.shutdown.removeEventListener("abort", end);
      deadline.cancel();
      const reason =
        said.join("").trim().split("\n").slice(-4).join(" ") || "it ended without a word";
      resolve(outcome ?? { kind: "failed", reason });
    });
  });
}
