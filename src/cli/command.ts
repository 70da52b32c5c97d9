/** What every command of the program gets from the outside world, so that none of them reaches for globals. */
import type { Command } from "commander";

export interface CommandIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Writes text as it is; the caller ends lines. */
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** First SIGTERM or SIGINT aborts this: drain and end. */
  readonly shutdown: AbortSignal;
  /** Second SIGINT aborts this: end at once. */
  readonly kill: AbortSignal;
  /** The program itself: another thread of it begins there. */
  readonly entry: URL;
}

/** A command module. `build` returns the command whose action does the work; it may return a promise. */
export interface CommandModule {
  readonly build: (io: CommandIo) => Command;
}

/** Ends the program with exit code 1 and this one line on stderr. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
}

/** Ends the program with exit code 2: the call itself is wrong. */
export class UsageFailure extends Error {
  override readonly name = "UsageFailure";
}
