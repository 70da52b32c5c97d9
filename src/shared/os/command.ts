/** Runs a program of the system, in the own or in another network namespace. */
import { type ChildProcess, spawn } from "node:child_process";
import type { Clock } from "../base/clock.ts";
import { MeshError } from "../base/errors.ts";
import { systemFailure } from "./errno.ts";
import type { NetworkNamespace } from "./network-namespace.ts";

export interface CommandRun {
  readonly program: string;
  readonly args: readonly string[];
  /** Written to its standard input. */
  readonly input?: string;
  readonly namespace?: NetworkNamespace;
  readonly timeoutMs: number;
}

export interface CommandResult {
  /** Undefined when a signal ended it. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Administrators' tools are not on everybody's PATH. */
const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** What a tool may write before we stop keeping it. */
const OUTPUT_MAX_CHARS = 1024 * 1024;

/**
 * Resolves when the program has ended, whatever its exit code. Rejects with MeshError `system-failed` when it cannot be
 * started (its cause has the code ENOENT when there is no such program) or does not end in time; it is killed then.
 */
export function runCommand(run: CommandRun, clock: Clock): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = start(run);
    let stdout = "";
    let stderr = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      if (stdout.length < OUTPUT_MAX_CHARS) stdout += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      if (stderr.length < OUTPUT_MAX_CHARS) stderr += text;
    });
    const deadline = clock.after(run.timeoutMs, () => {
      child.kill("SIGKILL");
      const text = `Cannot run ${run.program}: no end after ${run.timeoutMs} ms`;
      reject(new MeshError("system-failed", text));
    });
    child.on("error", (error) => {
      deadline.cancel();
      reject(systemFailure("system-failed", `Cannot run ${run.program}`, error));
    });
    child.on("close", (exitCode) => {
      deadline.cancel();
      resolve({ exitCode: exitCode ?? undefined, stdout, stderr });
    });
    // A program that ends without reading everything breaks the pipe; its exit code tells the story.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(run.input ?? "");
  });
}

/** The fork happens inside spawn() on this thread, so the child is born in the namespace this thread is in. */
function start(run: CommandRun): ChildProcess {
  const spawnIt = (): ChildProcess =>
    spawn(run.program, [...run.args], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { PATH: SYSTEM_PATH, LC_ALL: "C" },
    });
  return run.namespace === undefined ? spawnIt() : run.namespace.enter(spawnIt);
}
