/** Puts rules into the namespace of a pod and takes them out again, with `nft` and `ip`. Every operation may be repeated. */
import type { Clock } from "../../shared/base/clock.ts";
import { MeshError } from "../../shared/base/errors.ts";
import { type CommandResult, runCommand } from "../../shared/os/command.ts";
import type { NetworkNamespace } from "../../shared/os/network-namespace.ts";
import { type HostRules, hostScript, removeHostScript } from "./host-rules.ts";
import {
  type RedirectionOptions,
  redirectionChains,
  releasedChains,
  removeScript,
  replaceScript,
  routingAddBatch,
  routingRemoveBatch,
  TABLE_NAME,
} from "./rules.ts";
import type { Slots } from "./slots.ts";

export interface RedirectorDeps {
  readonly clock: Clock;
  /** How many pods are worked on at once: those that came first are done first, and the machine stays usable. */
  readonly slots: Slots;
}

/** What the state of a pod's namespace is changed through; a test can put its own in place. */
export interface Redirector {
  /** Captures new connections as the options say; replaces what an earlier call put there. */
  apply(namespace: NetworkNamespace, options: RedirectionOptions): Promise<void>;
  /** Lets new connections go direct while those in the ztunnel still run. */
  release(namespace: NetworkNamespace): Promise<void>;
  /** Leaves nothing of ours. */
  remove(namespace: NetworkNamespace): Promise<void>;
  /** Puts the node's own rules in place. */
  applyHost(rules: HostRules): Promise<void>;
  removeHost(): Promise<void>;
  /** Whether an earlier agent left rules there. */
  isApplied(namespace: NetworkNamespace): Promise<boolean>;
}

const COMMAND_TIMEOUT_MS = 10_000;
const FAMILIES = ["-4", "-6"] as const;

/** The Debian package of each program, for the one who has to install it. */
const packages = { nft: "nftables", ip: "iproute2" } as const;
type Program = keyof typeof packages;

export function commandRedirector(deps: RedirectorDeps): Redirector {
  const { slots } = deps;
  return {
    apply: (namespace, options) =>
      slots.use(async () => {
        // Routing first: marks without it would send the answers of spoofed connections out of the pod.
        await addRouting(deps, namespace);
        await nft(deps, namespace, replaceScript(redirectionChains(options)));
      }),
    release: (namespace) => slots.use(() => nft(deps, namespace, replaceScript(releasedChains()))),
    remove: (namespace) =>
      slots.use(async () => {
        await nft(deps, namespace, removeScript());
        await removeRouting(deps, namespace);
      }),
    applyHost: (rules) => nft(deps, undefined, hostScript(rules)),
    removeHost: () => nft(deps, undefined, removeHostScript()),
    isApplied: (namespace) =>
      slots.use(async () => {
        const { stdout } = await succeed(deps, "nft", ["list", "tables"], namespace);
        return stdout.split("\n").includes(`table inet ${TABLE_NAME}`);
      }),
  };
}

type Place = NetworkNamespace | undefined;

async function nft(deps: RedirectorDeps, namespace: Place, script: string): Promise<void> {
  await succeed(deps, "nft", ["-f", "-"], namespace, script);
}

async function addRouting(deps: RedirectorDeps, namespace: NetworkNamespace): Promise<void> {
  for (const family of FAMILIES) {
    const tolerated = ["File exists", ...(family === "-6" ? IPV6_IS_OFF : [])];
    await batch(deps, namespace, family, routingAddBatch, tolerated);
  }
}

async function removeRouting(deps: RedirectorDeps, namespace: NetworkNamespace): Promise<void> {
  const gone = [
    "No such file or directory",
    "No such process",
    "Cannot find device",
    "FIB table does not exist",
  ];
  for (const family of FAMILIES)
    await batch(deps, namespace, family, routingRemoveBatch, [...gone, ...IPV6_IS_OFF]);
}

/** A pod without IPv6 needs no IPv6 routing. */
const IPV6_IS_OFF = ["IPv6 is disabled", "Address family not supported", "Operation not supported"];

/** Runs all lines; a line may fail with one of the tolerated texts. */
async function batch(
  deps: RedirectorDeps,
  namespace: NetworkNamespace,
  family: "-4" | "-6",
  input: string,
  tolerated: readonly string[],
): Promise<void> {
  const args = [family, "-force", "-batch", "-"];
  const result = await run(deps, "ip", args, namespace, input);
  if (result.exitCode === 0) return;
  const complaints = result.stderr
    .split("\n")
    .filter((line) => line !== "" && !/^Command failed /.test(line));
  const serious = complaints.filter((line) => !tolerated.some((text) => line.includes(text)));
  if (serious.length > 0 || complaints.length === 0) throw failure("ip", namespace, result);
}

async function succeed(
  deps: RedirectorDeps,
  program: Program,
  args: readonly string[],
  namespace: Place,
  input?: string,
): Promise<CommandResult> {
  const result = await run(deps, program, args, namespace, input);
  if (result.exitCode !== 0) throw failure(program, namespace, result);
  return result;
}

async function run(
  deps: RedirectorDeps,
  program: Program,
  args: readonly string[],
  namespace: Place,
  input = "",
): Promise<CommandResult> {
  const place = namespace === undefined ? {} : { namespace };
  try {
    const command = { program, args, input, timeoutMs: COMMAND_TIMEOUT_MS, ...place };
    return await runCommand(command, deps.clock);
  } catch (thrown) {
    throw isMissing(thrown) ? missing(program) : thrown;
  }
}

function failure(program: Program, namespace: Place, result: CommandResult): MeshError {
  const said = result.stderr.trim().split("\n").slice(0, 3).join("; ") || "no message";
  const how = result.exitCode === undefined ? "was killed" : `exit code ${result.exitCode}`;
  return new MeshError(
    "system-failed",
    `${program} in ${namespace?.label ?? "the node"}: ${how}: ${said}`,
  );
}

function isMissing(thrown: unknown): boolean {
  const cause = thrown instanceof MeshError ? thrown.cause : undefined;
  return cause instanceof Error && "code" in cause && cause.code === "ENOENT";
}

function missing(program: Program): MeshError {
  const text = `Cannot find the program ${program}: install it, on Debian with: apt-get install ${packages[program]}`;
  return new MeshError("system-failed", text);
}
