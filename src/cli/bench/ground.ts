/** What every stack stands on: the world, the servers in the server's pod, and the client's pod to measure from. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { systemClock } from "../../shared/base/clock.ts";
import { startNameServer } from "../world/name-server.ts";
import { type CommandResult, type ManagedProcess, runCommand } from "../world/process.ts";
import { type Pod, podOf } from "../world/topology.ts";
import { namespacePath, World } from "../world/world.ts";
import { cpuMs } from "./meter.ts";
import { benchTopology, ports } from "./topology.ts";

const LISTEN_DEADLINE_MS = 10_000;
const KILOBYTES = [1, 10, 100, 1000] as const;

export class Ground {
  readonly world: World;
  readonly #servers: ManagedProcess[] = [];
  #grpcServer: Promise<void> | undefined;

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

  /** Whether a request of the client to this address is answered. */
  async answers(host: string, timeoutSeconds: number): Promise<boolean> {
    const { code } = await this.inClient([
      ...["curl", "-sfo", "/dev/null"],
      ...["--max-time", String(timeoutSeconds), `http://${host}:${ports.http}/1k`],
    ]);
    return code === 0;
  }

  /** Processes that answer, and those that they started. */
  serverPids(): readonly number[] {
    return this.#servers.flatMap(({ pid }) => [pid, ...childrenOf(pid)]);
  }

  cpuMsOf({ pid }: ManagedProcess): number {
    return cpuMs([pid]);
  }

  /** The command line of a part of the benchmark; it may make objects freely, as what is measured is not itself. */
  partOf(own: readonly string[]): readonly string[] {
    return [...own.slice(0, -1), "--max-semi-space-size=16", ...own.slice(-1), "bench"];
  }

  /** Once, when the first load needs it. `own` is the command line of the benchmark. */
  startGrpcServer(own: readonly string[]): Promise<void> {
    this.#grpcServer ??= this.#serve(
      "gRPC server",
      [...this.partOf(own), "--grpc-server", String(ports.grpc)],
      [ports.grpc],
    );
    return this.#grpcServer;
  }

  async close(): Promise<void> {
    await this.world.close();
  }

  async #startServers(): Promise<void> {
    const folder = this.world.path("nginx");
    mkdirSync(folder, { recursive: true });
    for (const size of KILOBYTES) writeFileSync(`${folder}/${size}k`, "x".repeat(size * 1024));
    writeFileSync(`${folder}/nginx.conf`, nginxConfig(folder));
    const nginx = ["nginx", "-c", `${folder}/nginx.conf`, "-p", folder];
    await this.#serve("nginx", nginx, [ports.http, ports.http2, ports.idle]);
    await this.#serve("iperf3", ["iperf3", "--server", "--port", String(ports.bulk)], [ports.bulk]);
  }

  /** Starts a server in the server's pod and waits until it listens. */
  async #serve(
    name: string,
    command: readonly string[],
    listensOn: readonly number[],
  ): Promise<void> {
    const { netns } = this.pod("server");
    const server = this.world.start(netns, { name, command });
    this.#servers.push(server);
    const deadlineMs = systemClock.monotonicMs() + LISTEN_DEADLINE_MS;
    for (const port of listensOn) await this.#listens(server, port, deadlineMs);
  }

  async #listens(server: ManagedProcess, port: number, deadlineMs: number): Promise<void> {
    const { netns } = this.pod("server");
    const look = `ss -Hltn 'sport = :${port}' | grep -q .`;
    for (;;) {
      const { code } = await this.world.run(netns, ["sh", "-c", look]);
      if (code === 0) return;
      if (!server.running || systemClock.monotonicMs() > deadlineMs)
        throw server.failure(`does not listen on port ${port}`);
      await systemClock.sleep(30);
    }
  }
}

function childrenOf(pid: number): readonly number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return text === "" ? [] : text.split(" ").map(Number);
  } catch {
    return [];
  }
}

/** One worker: the server is the same small part of every stack; the idle port is one as well. */
function nginxConfig(folder: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (kind) => `${kind}_temp_path ${folder}/${kind};`,
  );
  // It stays root: in a user namespace without other users it could not give its folders to one.
  return `user root; daemon off; worker_processes 1; worker_rlimit_nofile 65536; pid ${folder}/pid; error_log /dev/null;
events { worker_connections 30000; }
http {
  access_log off; keepalive_requests 100000000; keepalive_timeout 600s; client_header_timeout 600s; ${temporary.join(" ")}
  server { listen ${ports.http} backlog=8192; root ${folder}; }
  server { listen ${ports.http2} http2 backlog=1024; root ${folder}; http2_max_concurrent_streams 1024; }
  server { listen ${ports.idle} backlog=8192; root ${folder}; }
}
`;
}
