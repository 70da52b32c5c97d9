/**
 * Runs a program inside user, mount, network and process namespaces of its own. It needs no privileges, cannot touch the
 * machine's network or files outside, and leaves nothing behind: the program is process 1 of its namespace, so when it
 * dies the kernel ends everything below it, and it dies with its parent.
 *
 *   ambit demo (outside) -- setpriv --pdeathsig -- unshare --kill-child -- ambit demo (inside, process 1) -- roles, apps
 */
import { type ChildProcess, type StdioOptions, spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { adviceFor, type SandboxFacts } from "./advice.ts";

/** Set for the program inside; its value is the process id that it must have. */
const MARK = "AMBIT_SANDBOX";

/** True in the process that a sandbox was made for; false in programs that it starts in turn. */
export function isInsideSandbox(): boolean {
  return process.env[MARK] === String(process.pid) && process.pid === 1;
}

/** How a program is started in a sandbox, with or without a user namespace. */
function sandboxCommand(userNamespace: boolean, program: readonly string[]): readonly string[] {
  return [
    "setpriv",
    "--pdeathsig",
    "KILL",
    "unshare",
    ...(userNamespace ? ["--user", "--map-root-user"] : []),
    "--mount",
    "--net",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "--",
    ...program,
  ];
}

/** Root works without a user namespace unless its rights were taken away, as in most containers. */
export type SandboxKind = "as-root" | "user-namespace";

export class SandboxUnavailable extends Error {
  override readonly name = "SandboxUnavailable";
}

/** Finds out how a sandbox can be had here; throws SandboxUnavailable with what to do when it cannot. */
export function probeSandbox(tools: readonly string[]): SandboxKind {
  const facts = gatherFacts(tools);
  const advice = adviceFor(facts);
  if (advice !== undefined) throw new SandboxUnavailable(advice);
  return facts.worksAsRoot ? "as-root" : "user-namespace";
}

/** Starts a program in a sandbox; signals and the exit code pass through `unshare`. */
export function startInSandbox(
  kind: SandboxKind,
  program: readonly string[],
  stdio: StdioOptions,
): ChildProcess {
  const [file = "", ...args] = sandboxCommand(kind === "user-namespace", program);
  return spawn(file, args, { stdio, env: { ...process.env, [MARK]: "1", PATH: toolPath() } });
}

/** The same, waiting for its end; for test files that start themselves again. Returns the exit code. */
export function runInSandbox(kind: SandboxKind, program: readonly string[]): number {
  const [file = "", ...args] = sandboxCommand(kind === "user-namespace", program);
  const result = spawnSync(file, args, {
    stdio: "inherit",
    env: { ...process.env, [MARK]: "1", PATH: toolPath() },
  });
  return result.status ?? 1;
}

/** Debian keeps `ip`, `nft` and `tcpdump` where an ordinary user's path does not look. */
function toolPath(): string {
  return `${process.env["PATH"] ?? "/usr/bin:/bin"}:/usr/local/sbin:/usr/sbin:/sbin`;
}

function gatherFacts(tools: readonly string[]): SandboxFacts {
  const missing = ["setpriv", "unshare", "nsenter", "mount", ...tools].filter(
    (tool) => !worksHere(["sh", "-c", `command -v ${tool}`]),
  );
  const isRoot = process.getuid?.() === 0;
  const canTry = missing.length === 0;
  const worksAsRoot = canTry && isRoot && worksHere(sandboxCommand(false, ["true"]));
  return {
    platform: process.platform,
    isRoot,
    missing,
    worksAsRoot,
    worksWithUserNamespace: canTry && !worksAsRoot && worksHere(sandboxCommand(true, ["true"])),
    sysctls: {
      maxUserNamespaces: readNumber("/proc/sys/user/max_user_namespaces"),
      unprivilegedClone: readNumber("/proc/sys/kernel/unprivileged_userns_clone"),
      apparmorRestricts: readNumber("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
    },
  };
}

function worksHere(command: readonly string[]): boolean {
  const [file = "", ...args] = command;
  const env = { ...process.env, PATH: toolPath() };
  return spawnSync(file, args, { stdio: "ignore", env }).status === 0;
}

function readNumber(path: string): number | undefined {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}
