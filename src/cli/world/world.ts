/**
 * A small cluster of network namespaces on this machine. It must be created inside a sandbox (sandbox.ts): then nothing
 * of it is visible outside, and all of it is gone when the sandbox ends, however it ends.
 */
import { existsSync, lstatSync, mkdirSync, readlinkSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { systemClock } from "../../shared/base/clock.ts";
import { type NamespaceSetup, planWorld } from "./plan.ts";
import {
  type CommandResult,
  ManagedProcess,
  mustRun,
  type ProcessOptions,
  runCommand,
} from "./process.ts";
import { isInsideSandbox } from "./sandbox.ts";
import { layOut, ROOT_IP, type Topology, type TopologySpec } from "./topology.ts";

/** Everything of the world that is a file lies here: a file system in memory that only the sandbox sees. */
const WORLD_DIRECTORY = "/run/ambit";

export class World {
  readonly topology: Topology;
  /** How long laying it out took. */
  readonly createdInMs: number;
  readonly #processes = new Set<ManagedProcess>();

  private constructor(topology: Topology, createdInMs: number) {
    this.topology = topology;
    this.createdInMs = createdInMs;
  }

  static async create(spec: TopologySpec): Promise<World> {
    if (!isInsideSandbox())
      throw new Error("Cannot create a world: this process is not in a sandbox of its own");
    const startedMs = systemClock.monotonicMs();
    const topology = layOut(spec);
    await prepareFiles();
    const plan = planWorld(topology);
    await mustRun(["ip", "-batch", "-"], `${plan.create.join("\n")}\n`);
    await Promise.all(plan.setups.map(apply));
    return new World(topology, systemClock.monotonicMs() - startedMs);
  }

  get directory(): string {
    return WORLD_DIRECTORY;
  }

  /** A path inside the world's directory. */
  path(...parts: readonly string[]): string {
    return join(WORLD_DIRECTORY, ...parts);
  }

  /** Starts a program in a namespace (undefined: the root of the world); it ends with the world at the latest. */
  start(namespace: string | undefined, options: ProcessOptions): ManagedProcess {
    const child = ManagedProcess.start({
      ...options,
      command: [...entering(namespace), ...options.command],
    });
    this.#processes.add(child);
    void child.exited.then(() => this.#processes.delete(child));
    return child;
  }

  /** Runs a short command in a namespace. */
  run(
    namespace: string | undefined,
    command: readonly string[],
    input = "",
  ): Promise<CommandResult> {
    return runCommand([...entering(namespace), ...command], input);
  }

  /** Takes a pod's namespace away, as a deleted pod's would go. */
  async deleteNamespace(namespace: string): Promise<void> {
    await mustRun(["ip", "netns", "delete", namespace]);
  }

  /** Ends everything that still runs. The namespaces go with the sandbox. */
  async close(): Promise<void> {
    await Promise.all([...this.#processes].map((child) => child.stop("SIGKILL")));
  }
}

/** Path by which a namespace of the world is named in commands and annotations. */
export function namespacePath(namespace: string): string {
  return `/run/netns/${namespace}`;
}

function entering(namespace: string | undefined): string[] {
  return namespace === undefined ? [] : ["nsenter", `--net=${namespacePath(namespace)}`, "--"];
}

async function prepareFiles(): Promise<void> {
  const resolver = resolverTarget();
  await mustRun(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"]);
  mkdirSync("/run/netns");
  mkdirSync(WORLD_DIRECTORY);
  const own = join(WORLD_DIRECTORY, "resolv.conf");
  writeFileSync(own, `nameserver ${ROOT_IP}\n`);
  if (resolver === undefined) return;
  if (existsSync(resolver)) await mustRun(["mount", "--bind", own, resolver]);
  // The machine's resolver file lay below /run, which the sandbox has just covered.
  else if (resolver.startsWith("/run/")) {
    mkdirSync(dirname(resolver), { recursive: true });
    writeFileSync(resolver, `nameserver ${ROOT_IP}\n`);
  }
}

/** The file that /etc/resolv.conf leads to, even when it is about to be covered. */
function resolverTarget(): string | undefined {
  const file = "/etc/resolv.conf";
  try {
    return lstatSync(file).isSymbolicLink() ? resolve("/etc", readlinkSync(file)) : file;
  } catch {
    return undefined;
  }
}

async function apply(setup: NamespaceSetup): Promise<void> {
  const where = setup.namespace === undefined ? [] : ["-n", setup.namespace];
  await mustRun(["ip", ...where, "-batch", "-"], `${setup.ip.join("\n")}\n`);
  const script = [
    ...setup.sysctls.map(([name, value]) => `echo ${value} > /proc/sys/${name}`),
    ...(setup.nft === "" ? [] : ["exec nft -f -"]),
  ];
  if (script.length > 0)
    await mustRun([...entering(setup.namespace), "sh", "-ec", script.join("\n")], setup.nft);
}
