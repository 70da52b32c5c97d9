/**
 * The mesh's own processes in a world: one control plane in the root, on each node a node agent, and a ztunnel in a
 * namespace of its own. They are started as an operator would start them and speak only the real protocols.
 */

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { connect } from "node:net";
import { systemClock } from "../../shared/base/clock.ts";
import { type ManagedProcess, mustRun } from "./process.ts";
import { roleCommand } from "./runtime-flags.ts";
import { type Pod, podOf, ROOT_IP } from "./topology.ts";
import type { World } from "./world.ts";

const XDS_PLAIN_PORT = 15010;
const XDS_SECURE_PORT = 15012;
const READY_PORT = 15021;
export const STATS_PORT = 15020;
const START_DEADLINE_MS = 30_000;
const DRAIN_SECONDS = "6";

export interface MeshOptions {
  /** The command line of `ambit`: node, its flags and the program. */
  readonly program: readonly string[];
  /** The folder of objects. */
  readonly config: string;
  /** `namespace/name` of the ztunnels' service account. */
  readonly serviceAccount: string;
  /** Called with every line of a ztunnel. */
  readonly onZtunnelLine?: (node: string, line: string) => void;
  /** Another program in place of `ambit ztunnel` on a node, such as the reference's binary. */
  readonly ztunnelProgram?: (node: string) => readonly string[] | undefined;
  /** How long a process may take until it is ready; undefined: long enough for a small mesh. */
  readonly startDeadlineMs?: number;
  /** More environment for the ztunnels. */
  readonly ztunnelEnv?: Readonly<Record<string, string>>;
}

export interface Ztunnel {
  readonly pod: Pod;
  readonly process: ManagedProcess;
}

export class Mesh {
  readonly #world: World;
  readonly #options: MeshOptions;
  readonly #stateDir: string;
  readonly #nodeAgents = new Map<string, ManagedProcess>();
  /** The newest of each node. */
  readonly #ztunnels = new Map<string, Ztunnel>();
  /** Pods whose ztunnel still runs. */
  readonly #occupied = new Set<string>();
  #controlPlane: ManagedProcess | undefined;

  constructor(world: World, options: MeshOptions) {
    this.#world = world;
    this.#options = options;
    this.#stateDir = world.path("state");
    mkdirSync(this.#stateDir, { recursive: true });
  }

  /** Everything, in the order in which it can be ready; resolves when all of it is. */
  async start(): Promise<void> {
    await this.startControlPlane();
    const nodes = this.#world.topology.nodes.map(({ name }) => name);
    await Promise.all([
      ...nodes.map((node) => this.writeToken(node)),
      ...nodes.map((node) => this.startNodeAgent(node)),
    ]);
    await Promise.all(nodes.map((node) => this.startZtunnel(node)));
  }

  get controlPlane(): ManagedProcess {
    return present(this.#controlPlane, "control plane");
  }

  nodeAgent(node: string): ManagedProcess {
    return present(this.#nodeAgents.get(node), `node agent of ${node}`);
  }

  ztunnel(node: string): Ztunnel {
    return present(this.#ztunnels.get(node), `ztunnel of ${node}`);
  }

  async startControlPlane(): Promise<void> {
    const child = this.#world.start(undefined, {
      name: "controlplane",
      command: [
        ...roleCommand(this.#options.program, "controlplane"),
        ...["--config", this.#options.config, "--state-dir", this.#stateDir],
        ...["--grpc-addr", `${ROOT_IP}:${XDS_PLAIN_PORT}`],
        ...["--secure-grpc-addr", `${ROOT_IP}:${XDS_SECURE_PORT}`],
        ...["--http-addr", "127.0.0.1:8080", "--monitoring-addr", "127.0.0.1:15014"],
      ],
    });
    this.#controlPlane = child;
    await this.#until(child, "is not ready", async () => {
      const hasRoot = existsSync(this.#rootCertificate);
      return hasRoot && (await accepts(ROOT_IP, XDS_SECURE_PORT));
    });
  }

  /** What an operator does with `ambit token` for every node. */
  async writeToken(node: string): Promise<void> {
    await this.#writeToken(this.#tokenFile(node), [
      ...["--service-account", this.#options.serviceAccount, "--node", node],
    ]);
  }

  async #writeToken(file: string, whose: readonly string[]): Promise<void> {
    const { program } = this.#options;
    const token = await mustRun([...program, "token", "--state-dir", this.#stateDir, ...whose]);
    writeFileSync(file, token.trim(), { mode: 0o600 });
  }

  async startNodeAgent(node: string): Promise<void> {
    mkdirSync(this.#world.path(node), { recursive: true });
    const child = this.#world.start(node, {
      name: `nodeagent ${node}`,
      command: [
        ...roleCommand(this.#options.program, "nodeagent"),
        ...["--config", this.#options.config, "--node", node, "--zds", this.#zdsSocket(node)],
      ],
    });
    this.#nodeAgents.set(node, child);
    await this.#until(child, "opens no ZDS socket", () =>
      Promise.resolve(existsSync(this.#zdsSocket(node))),
    );
  }

  /** Starts the ztunnel of a node in a free namespace and waits until it is ready. */
  async startZtunnel(node: string): Promise<Ztunnel> {
    const pod = this.#freeZtunnelPod(node);
    const child = this.#world.start(pod.netns, {
      name: pod.name,
      command: this.#options.ztunnelProgram?.(node) ?? [...this.#options.program, "ztunnel"],
      env: this.#ztunnelEnv(pod),
    });
    child.onLine((line) => this.#options.onZtunnelLine?.(node, line));
    this.#occupied.add(pod.name);
    void child.exited.then(() => this.#occupied.delete(pod.name));
    const ztunnel: Ztunnel = { pod, process: child };
    this.#ztunnels.set(node, ztunnel);
    await this.#until(child, "is not ready", () => isReady(pod.ip));
    return ztunnel;
  }

  /** A rolling upgrade: the successor is ready before its predecessor is told to go. */
  async replaceZtunnel(
    node: string,
    onReady?: (successor: Ztunnel) => void,
  ): Promise<{ readonly before: Ztunnel; readonly after: Ztunnel }> {
    const before = this.ztunnel(node);
    const after = await this.startZtunnel(node);
    onReady?.(after);
    await before.process.stop("SIGTERM");
    return { before, after };
  }

  /** Starts the waypoint that a pod of the world is for, under the pod's own service account, and waits until it is ready. */
  async startWaypoint(
    podName: string,
    env: Readonly<Record<string, string>> = {},
  ): Promise<ManagedProcess> {
    const pod = podOf(this.#world.topology, podName);
    const tokenFile = this.#tokenFile(podName);
    const account = `${pod.namespace}/${pod.serviceAccount}`;
    await this.#writeToken(tokenFile, ["--service-account", account]);
    const child = this.#world.start(pod.netns, {
      name: podName,
      command: roleCommand(this.#options.program, "waypoint"),
      env: {
        ...this.#controlPlaneEnv(tokenFile),
        NODE_NAME: pod.node,
        POD_NAME: pod.name,
        POD_NAMESPACE: pod.namespace,
        SERVICE_ACCOUNT: pod.serviceAccount,
        INSTANCE_IP: pod.ip,
        ...env,
      },
    });
    await this.#until(child, "is not ready", () => isReady(pod.ip));
    return child;
  }

  /** Asks again and again until it holds; fails when the process ends or the time is over. */
  async #until(
    child: ManagedProcess,
    problem: string,
    holds: () => Promise<boolean>,
  ): Promise<void> {
    const patienceMs = this.#options.startDeadlineMs ?? START_DEADLINE_MS;
    const deadlineMs = systemClock.monotonicMs() + patienceMs;
    while (!(await holds())) {
      if (!child.running || systemClock.monotonicMs() > deadlineMs) throw child.failure(problem);
      await systemClock.sleep(20);
    }
  }

  get #rootCertificate(): string {
    return `${this.#stateDir}/root-cert.pem`;
  }

  #tokenFile(node: string): string {
    return this.#world.path(`${node}.token`);
  }

  #zdsSocket(node: string): string {
    return this.#world.path(node, "ztunnel.sock");
  }

  #freeZtunnelPod(node: string): Pod {
    const pod = this.#world.topology.pods.find(
      ({ app, node: where, name }) =>
        app === "ztunnel" && where === node && !this.#occupied.has(name),
    );
    return present(pod, `free ztunnel namespace on ${node}`);
  }

  #controlPlaneEnv(tokenFile: string): Readonly<Record<string, string>> {
    const address = `https://${ROOT_IP}:${XDS_SECURE_PORT}`;
    return {
      XDS_ADDRESS: address,
      CA_ADDRESS: address,
      XDS_ROOT_CA: this.#rootCertificate,
      CA_ROOT_CA: this.#rootCertificate,
      AUTH_TOKEN: tokenFile,
    };
  }

  #ztunnelEnv(pod: Pod): Readonly<Record<string, string>> {
    const [namespace = "", serviceAccount = ""] = this.#options.serviceAccount.split("/");
    return {
      ...this.#controlPlaneEnv(this.#tokenFile(pod.node)),
      INPOD_UDS: this.#zdsSocket(pod.node),
      NODE_NAME: pod.node,
      POD_NAME: podOf(this.#world.topology, pod.name).name,
      POD_NAMESPACE: namespace,
      SERVICE_ACCOUNT: serviceAccount,
      INSTANCE_IP: pod.ip,
      TERMINATION_GRACE_PERIOD_SECONDS: DRAIN_SECONDS,
      LOG_FORMAT: "json",
      ...this.#options.ztunnelEnv,
    };
  }
}

function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`no ${what}`);
  return value;
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** Whether a ztunnel's readiness probe says so. */
export function isReady(ip: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = get(
      { host: ip, port: READY_PORT, path: "/healthz/ready", agent: false, timeout: 1_000 },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      },
    );
    probe.on("timeout", () => probe.destroy(new Error("timed out")));
    probe.on("error", () => resolve(false));
  });
}
