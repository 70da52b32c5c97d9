/**
 * Pods as network namespaces, each with an `ambit ztunnel` of its own in dedicated mode, and one `ambit controlplane` for
 * all of them that certifies, and that feeds those that ask it. Import sandbox.ts first.
 */
import { execFileSync } from "node:child_process";
import { createPrivateKey } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { ManagedProcess } from "../../../src/cli/world/process.ts";
import { commandRedirector } from "../../../src/nodeagent/redirect/apply.ts";
import { Slots } from "../../../src/nodeagent/redirect/slots.ts";
import { systemClock } from "../../../src/shared/base/clock.ts";
import type { WorkloadCertificate } from "../../../src/shared/identity/workload-certificate.ts";
import { readCertificates } from "../../../src/shared/identity/x509.ts";
import { type IpAddress, ipOf } from "../../../src/shared/net/ip.ts";
import type { TcpListener } from "../../../src/shared/os/network.ts";
import { hostNetwork } from "../../../src/shared/os/pod-network.ts";
import { addPod, layOut, type TestPod } from "../../support/pods.ts";
import { program } from "../../support/program.ts";
import { newWorkload } from "../../unit/shared/identity/pki.ts";
import { eventually } from "../envoy/endpoints.ts";

export const MARK = 1337;
const CONTROL_PLANE_PORT = 15012;
/** The node, where no pod's rules capture anything. */
export const hostIp: IpAddress = ipOf("10.1.0.1");

/** Where sockets can be: in a pod, or on the node. */
export type Place = Pick<TestPod, "network">;
export const node: Place = { network: hostNetwork(systemClock) };

/** `namespace/name/service account`. */
export type Who = `${string}/${string}/${string}`;

export interface DedicatedZtunnel {
  readonly pod: TestPod;
  readonly process: ManagedProcess;
  /** Everything printed so far. */
  readonly lines: readonly string[];
  /** Access-log lines of this direction so far, without their time. */
  access(direction: "inbound" | "outbound"): readonly string[];
}

/** How a ztunnel in dedicated mode is told apart from its application: it marks its sockets, or it has a user of its own. */
export type Exemption = "mark" | "user";

export class DedicatedStage {
  readonly dir: string = mkdtempSync(join(tmpdir(), "ambit-dedicated-"));
  readonly #processes: ManagedProcess[] = [];
  readonly #listeners: TcpListener[] = [];
  readonly #sockets = new Set<Socket>();

  /** The bridge, and a control plane on it. */
  async open(): Promise<void> {
    layOut();
    mkdirSync(this.#objects);
    const address = `${hostIp}:${CONTROL_PLANE_PORT}`;
    const elsewhere = { grpc: 15010, http: 8081, monitoring: 15014 };
    this.#start("controlplane", [
      ...[...program, "controlplane", "--config", this.#objects, "--state-dir", this.stateDir],
      ...["--secure-grpc-addr", address],
      ...Object.entries(elsewhere).flatMap(([n, port]) => [`--${n}-addr`, `127.0.0.1:${port}`]),
    ]);
    await eventually("the control plane is up", () => existsSync(this.#root));
  }

  /** A pod whose traffic is captured, as istio-cni would. */
  async pod(n: number, exemption: Exemption = "mark"): Promise<TestPod> {
    const pod = addPod(n);
    const redirector = commandRedirector({ clock: systemClock, slots: new Slots(1) });
    await redirector.apply(pod.namespace, {
      captureDns: false,
      captureInbound: true,
      virtualInterfaces: [],
    });
    // A ztunnel in a namespace of pods talks to the control plane from there: that is not the pod's traffic.
    const own = exemption === "mark" ? `tcp dport ${CONTROL_PLANE_PORT}` : `meta skuid ${MARK}`;
    const rules = `table inet own {
      chain output {
        type filter hook output priority -160
        ${own} meta mark set ${MARK}
      }
    }\n`;
    execFileSync("nsenter", [`--net=${pod.path}`, "nft", "-f", "-"], { input: rules });
    return pod;
  }

  /** Somebody on the network whose traffic nobody captures. */
  bystander(n: number): TestPod {
    return addPod(n);
  }

  /** What a peer with an identity of its own would get from the mesh's authority. */
  certificate(uri: string): WorkloadCertificate {
    const read = (name: string): string => readFileSync(join(this.stateDir, name), "utf8");
    const [certificate] = readCertificates(read("ca-cert.pem"));
    if (certificate === undefined) throw new Error("no authority");
    const privateKey = createPrivateKey(read("ca-key.pem"));
    return newWorkload({ certificate, privateKey }, { uris: [uri] });
  }

  /** Starts the proxy of a pod and waits until it is ready. */
  async ztunnel(
    pod: TestPod,
    who: Who,
    env: Readonly<Record<string, string>> = {},
    prefix: readonly string[] = [],
  ): Promise<DedicatedZtunnel> {
    const [namespace = "", name = "", account = ""] = who.split("/");
    const controlPlane = `https://${hostIp}:${CONTROL_PLANE_PORT}`;
    const process = this.#start(
      name,
      ["nsenter", `--net=${pod.path}`, ...prefix, ...program, "ztunnel"],
      {
        PROXY_MODE: "dedicated",
        PROXY_WORKLOAD_INFO: who,
        PACKET_MARK: String(MARK),
        NODE_NAME: "node1",
        POD_NAME: name,
        POD_NAMESPACE: namespace,
        SERVICE_ACCOUNT: account,
        INSTANCE_IP: pod.v4,
        XDS_ADDRESS: controlPlane,
        CA_ADDRESS: controlPlane,
        // As text: a user of its own may not read our folder.
        XDS_ROOT_CA: readFileSync(this.#root, "utf8"),
        CA_ROOT_CA: readFileSync(this.#root, "utf8"),
        ALT_XDS_HOSTNAME: "istiod.istio-system.svc",
        ALT_CA_HOSTNAME: "istiod.istio-system.svc",
        AUTH_TOKEN: this.#token(`${namespace}/${account}`),
        ISTIO_META_DNS_CAPTURE: "false",
        TERMINATION_GRACE_PERIOD_SECONDS: "6",
        ...env,
      },
    );
    const lines: string[] = [...process.tail];
    process.onLine((line) => lines.push(line));
    await eventually(`the ztunnel of ${name} is ready`, async () => {
      if (!process.running) throw process.failure("did not start");
      const answer = await this.get(pod, 15021, "/healthz/ready").catch(() => undefined);
      return answer?.startsWith("ready") === true;
    }).catch(() => {
      throw process.failure("is not ready");
    });
    return {
      pod,
      process,
      lines,
      access: (direction) =>
        lines
          .map((line) => line.split("\t").slice(1).join("\t"))
          .filter((line) => /^\w+\taccess\t/.test(line) && line.includes(`"${direction}"`)),
    };
  }

  /** State from a file instead of the control plane, which then only certifies. */
  staticState(name: string, state: object): Readonly<Record<string, string>> {
    const path = join(this.dir, `${name}.yaml`);
    // JSON is YAML.
    writeFileSync(path, JSON.stringify(state));
    return { XDS_ADDRESS: "", LOCAL_XDS_PATH: path };
  }

  /** Kubernetes objects for the control plane. */
  writeObjects(name: string, yaml: string): void {
    const draft = join(this.dir, "draft");
    writeFileSync(draft, yaml);
    renameSync(draft, join(this.#objects, name));
  }

  /** An application of the pod. */
  async serve(
    pod: Place,
    port: number,
    onSocket: (socket: Socket) => void,
    ip: IpAddress = ipOf("0.0.0.0"),
  ): Promise<void> {
    const options = { ip, port, reusePort: false, transparent: "never" } as const;
    const listener = await pod.network.listenTcp(options, (socket) => {
      onSocket(this.keep(socket));
      socket.resume();
    });
    this.#listeners.push(listener);
  }

  /** An application that sends back what it gets, and first says who it thinks it talks to. */
  echo(pod: Place, port: number): Promise<void> {
    return this.serve(pod, port, (socket) => {
      socket.write(`${pod.network.peerAddress(socket)?.ip}\n`);
      socket.on("data", (chunk) => socket.write(chunk));
      socket.on("end", () => socket.end());
    });
  }

  /** An application of the pod connects to somewhere. */
  async dial(from: Place, to: string, port: number): Promise<Socket> {
    const destination = { ip: ipOf(to), port };
    return this.keep(await from.network.dialTcp({ destination, timeoutMs: 5_000 }));
  }

  /** Sends a word, half-closes, and gives what came back; nothing when the connection was cut. */
  async ask(from: Place, to: string, port: number, word: string): Promise<string> {
    const socket = await this.dial(from, to, port);
    socket.end(word);
    return text(socket).catch(() => "");
  }

  /** The body of an answer of the ztunnel's own HTTP servers. */
  async get(pod: TestPod, port: number, path: string): Promise<string> {
    const socket = await this.dial(pod, "127.0.0.1", port);
    socket.write(`GET ${path} HTTP/1.0\r\n\r\n`);
    const answer = await text(socket);
    return answer.slice(answer.indexOf("\r\n\r\n") + 4);
  }

  /** Sum of a metric over the label sets that contain all these texts. */
  async metric(ztunnel: DedicatedZtunnel, name: string, ...labels: string[]): Promise<number> {
    const body = await this.get(ztunnel.pod, 15020, "/metrics");
    return body
      .split("\n")
      .filter((line) => /^[a-z_]+/.exec(line)?.[0] === name)
      .filter((line) => labels.every((label) => line.includes(label)))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
  }

  keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => this.#sockets.delete(socket));
    return socket;
  }

  get stateDir(): string {
    return join(this.dir, "state");
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    await Promise.all(this.#processes.map((one) => one.stop("SIGKILL")));
    rmSync(this.dir, { recursive: true, force: true });
  }

  get #objects(): string {
    return join(this.dir, "objects");
  }

  get #root(): string {
    return join(this.stateDir, "root-cert.pem");
  }

  #token(serviceAccount: string): string {
    const [file = "", ...args] = program;
    const flags = ["--state-dir", this.stateDir, "--service-account", serviceAccount];
    return execFileSync(file, [...args, "token", ...flags], { encoding: "utf8" }).trim();
  }

  #start(
    name: string,
    command: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): ManagedProcess {
    const started = ManagedProcess.start({ name, command, env });
    this.#processes.push(started);
    return started;
  }
}
