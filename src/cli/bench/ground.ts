/** What every stack stands on: the world, the servers in the server's pod, and the client's pod to measure from. */
import { mkdirSync, writeFileSync } from "node:fs";
import { systemClock } from "../../shared/base/clock.ts";
import { startNameServer } from "../world/name-server.ts";
import { type CommandResult, type ManagedProcess, runCommand } from "../world/process.ts";
import { type Pod, podOf } from "../world/topology.ts";
import { namespacePath, World } from "../world/world.ts";
import { benchTopology, ports } from "./topology.ts";

const LISTEN_DEADLINE_MS = 10_000;
const KILOBYTES = [1, 10, 100, 1000] as const;

export class Ground {
  readonly world: World;

  private constructor(world: World) {
    this.world = world;
  }

  static async open(): Promise<Ground> {
    const world = await World.create(benchTopology);
    await startNameServer(world.topology);
    const ground = new Ground(world);
    await ground.#startServers();
    return ground;
  }

  pod(name: string): Pod {
    return podOf(this.world.topology, name);
  }

  /** Runs a load generator in the client's pod. */
  inClient(command: readonly string[]): Promise<CommandResult> {
    return runCommand([
      "nsenter",
      `--net=${namespacePath(this.pod("client").netns)}`,
      "--",
      ...command,
    ]);
  }

  async close(): Promise<void> {
    await this.world.close();
  }

  async #startServers(): Promise<void> {
    const { netns } = this.pod("server");
    const folder = this.world.path("nginx");
    mkdirSync(folder, { recursive: true });
    for (const size of KILOBYTES) writeFileSync(`${folder}/${size}k`, "x".repeat(size * 1024));
    writeFileSync(`${folder}/nginx.conf`, nginxConfig(folder));
    const start = (name: string, command: readonly string[]): ManagedProcess =>
      this.world.start(netns, { name, command });
    start("nginx", ["nginx", "-c", `${folder}/nginx.conf`, "-p", folder]);
    start("iperf3", ["iperf3", "--server", "--port", String(ports.bulk)]);
    const deadlineMs = systemClock.monotonicMs() + LISTEN_DEADLINE_MS;
    for (const port of [ports.http, ports.http2, ports.bulk, ports.idle])
      await this.#listens(port, deadlineMs);
  }

  async #listens(port: number, deadlineMs: number): Promise<void> {
    const { netns } = this.pod("server");
    const look = `ss -Hltn 'sport = :${port}' | grep -q .`;
    for (;;) {
      const { code } = await this.world.run(netns, ["sh", "-c", look]);
      if (code === 0) return;
      if (systemClock.monotonicMs() > deadlineMs)
        throw new Error(`no server listens on port ${port}`);
      await systemClock.sleep(30);
    }
  }
}

/** One worker: the server is the same small part of every stack. The idle port is a plain HTTP one that waits for long. */
function nginxConfig(folder: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (kind) => `${kind}_temp_path ${folder}/${kind};`,
  );
  return `daemon off; worker_processes 1; worker_rlimit_nofile 65536; pid ${folder}/pid; error_log /dev/null;
events { worker_connections 30000; }
http {
  access_log off; keepalive_requests 100000000; keepalive_timeout 600s; client_header_timeout 600s; ${temporary.join(" ")}
  server { listen ${ports.http} backlog=8192; root ${folder}; }
  server { listen ${ports.http2} http2 backlog=1024; root ${folder}; http2_max_concurrent_streams 1024; }
  server { listen ${ports.idle} backlog=8192; root ${folder}; }
}
`;
}
