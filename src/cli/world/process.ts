/** Programs that the world starts: their output kept and watched, their end awaited, their resources looked at. */
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { systemClock } from "../../shared/base/clock.ts";

export interface ExitInfo {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ProcessOptions {
  /** Stands in messages. */
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Opens a message channel (`process.send`) to the program. */
  readonly channel?: boolean;
}

export type LineListener = (line: string, stream: "stdout" | "stderr") => void;

/** Lines kept for error messages. */
const KEPT_LINES = 400;
const STOP_DEADLINE_MS = 10_000;

export class ManagedProcess {
  readonly name: string;
  readonly exited: Promise<ExitInfo>;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #listeners = new Set<LineListener>();
  #exit: ExitInfo | undefined;

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
    this.exited = new Promise((resolve) => {
      const end = (exit: ExitInfo): void => {
        this.#exit ??= exit;
        resolve(this.#exit);
      };
      child.once("exit", (code, signal) => end({ code, signal }));
      child.once("error", (error) => {
        this.#take(`cannot start: ${error.message}`, "stderr");
        end({ code: 127, signal: null });
      });
    });
    for (const stream of ["stdout", "stderr"] as const) this.#readLines(stream);
  }

  /** Starts it in a process group of its own, so that a Ctrl-C on the terminal reaches only the one who watches. */
  static start(options: ProcessOptions): ManagedProcess {
    const [file = "", ...args] = options.command;
    const child = spawn(file, args, {
      detached: true,
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe", ...(options.channel === true ? (["ipc"] as const) : [])],
    });
    return new ManagedProcess(options.name, child);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get running(): boolean {
    return this.#exit === undefined;
  }

  /** The last lines it printed. */
  get tail(): readonly string[] {
    return this.#lines;
  }

  /** Calls the listener for every line from now on; returns how to stop that. */
  onLine(listener: LineListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onMessage(listener: (message: unknown) => void): void {
    this.#child.on("message", listener);
  }

  send(message: object): void {
    if (this.#child.connected) this.#child.send(message);
  }

  /** Resolves with the first line, printed already or later, that is accepted. */
  waitForLine(
    accepts: (line: string) => boolean,
    timeoutMs: number,
    what: string,
  ): Promise<string> {
    const printed = this.#lines.find(accepts);
    return printed === undefined
      ? this.nextLine(accepts, timeoutMs, what)
      : Promise.resolve(printed);
  }

  /** Resolves with the first line printed from now on that is accepted. */
  async nextLine(
    accepts: (line: string) => boolean,
    timeoutMs: number,
    what: string,
  ): Promise<string> {
    const over = new AbortController();
    const found = new Promise<string>((resolve) => {
      const stop = this.onLine((line) => {
        if (!accepts(line)) return;
        stop();
        resolve(line);
      });
      over.signal.addEventListener("abort", stop, { once: true });
    });
    const timeout = systemClock.sleep(timeoutMs, over.signal).catch(() => undefined);
    const ended = this.exited.then(() => undefined);
    try {
      const line = await Promise.race([found, timeout, ended]);
      if (typeof line !== "string") throw this.failure(`did not say ${what}`);
      return line;
    } finally {
      over.abort();
    }
  }

  kill(signal: NodeJS.Signals): void {
    if (this.running) this.#child.kill(signal);
  }

  /** Asks it to end, waits, and kills it if it does not. */
  async stop(signal: NodeJS.Signals = "SIGTERM", deadlineMs = STOP_DEADLINE_MS): Promise<ExitInfo> {
    this.kill(signal);
    const over = new AbortController();
    const timeout = systemClock
      .sleep(deadlineMs, over.signal)
      .then(() => this.kill("SIGKILL"))
      .catch(() => undefined);
    const exit = await this.exited;
    over.abort();
    await timeout;
    return exit;
  }

  /** Resident memory in KiB; 0 once it has ended. */
  residentKib(): number {
    return Number(/^VmRSS:\s+(\d+)/m.exec(this.#proc("status"))?.[1] ?? 0);
  }

  /** Anonymous resident memory in KiB: what cannot be shared with other processes of the same program. */
  anonymousKib(): number {
    return Number(/^RssAnon:\s+(\d+)/m.exec(this.#proc("status"))?.[1] ?? 0);
  }

  /** Number of open file descriptors. */
  openFiles(): number {
    try {
      return readdirSync(`/proc/${this.pid}/fd`).length;
    } catch {
      return 0;
    }
  }

  /** An error that names the process, its end and the last it said. */
  failure(problem: string): Error {
    const end = this.#exit === undefined ? "" : ` (ended: ${this.#exit.signal ?? this.#exit.code})`;
    const said = this.#lines.slice(-12).join("\n  ");
    return new Error(`${this.name} ${problem}${end}; it said:\n  ${said}`);
  }

  #proc(file: string): string {
    try {
      return readFileSync(`/proc/${this.pid}/${file}`, "utf8");
    } catch {
      return "";
    }
  }

  #readLines(stream: "stdout" | "stderr"): void {
    const source = this.#child[stream];
    if (source === null) return;
    let pending = "";
    source.setEncoding("utf8");
    source.on("data", (text: string) => {
      const lines = (pending + text).split("\n");
      pending = lines.pop() ?? "";
      for (const line of lines) this.#take(line, stream);
    });
    source.on("end", () => {
      if (pending !== "") this.#take(pending, stream);
    });
  }

  #take(line: string, stream: "stdout" | "stderr"): void {
    this.#lines.push(line);
    if (this.#lines.length > KEPT_LINES) this.#lines.shift();
    for (const listener of this.#listeners) listener(line, stream);
  }
}

export interface CommandResult extends ExitInfo {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a short command to its end with this text on its standard input. */
export function runCommand(command: readonly string[], input = ""): Promise<CommandResult> {
  const [file = "", ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"] });
    const output = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output.stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output.stderr += text;
    });
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ ...output, code, signal }));
    // A command that ends without reading its input is judged by its exit code, not by the broken pipe.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}

/** Like runCommand, but a failure is an error that quotes the command and what it said. */
export async function mustRun(command: readonly string[], input = ""): Promise<string> {
  const result = await runCommand(command, input);
  if (result.code !== 0)
    throw new Error(
      `Cannot run "${command.join(" ")}": ${result.stderr.trim() || `exit ${result.code}`}`,
    );
  return result.stdout;
}
