/**
 * A small mesh inside one process: pods are addresses of 127.0.0.0/8, redirection is a queue of destinations, everything else
 * (proxies, handshakes, tunnels, policy) is the real thing.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { asMeshError, MeshError } from "../../../../src/shared/base/errors.ts";
import type { Issuer } from "../../../../src/shared/identity/issue.ts";
import type { SecretSource } from "../../../../src/shared/identity/secret-source.ts";
import { formatSpiffe } from "../../../../src/shared/identity/spiffe.ts";
import type { WorkloadCertificate } from "../../../../src/shared/identity/workload-certificate.ts";
import { MeshStore } from "../../../../src/shared/model/store.ts";
import type { Workload } from "../../../../src/shared/model/workload.ts";
import type { SocketAddress } from "../../../../src/shared/net/authority.ts";
import { type IpAddress, ipOf } from "../../../../src/shared/net/ip.ts";
import type {
  DialTcpOptions,
  ListenTcpOptions,
  PodNetwork,
  TcpListener,
} from "../../../../src/shared/os/network.ts";
import { hostNetwork } from "../../../../src/shared/os/pod-network.ts";
import type { TcpConnection } from "../../../../src/shared/os/tcp-connection.ts";
import { createLogger, LogFilter } from "../../../../src/shared/telemetry/logger.ts";
import { Metrics } from "../../../../src/shared/telemetry/metrics.ts";
import { loadConfig, type ZtunnelConfig } from "../../../../src/ztunnel/config.ts";
import { DecisionRing } from "../../../../src/ztunnel/proxy/decisions.ts";
import {
  type PodProxyOptions,
  type RunningPodProxy,
  startPodProxy,
} from "../../../../src/ztunnel/proxy/pod-proxy.ts";
import { illegalPorts } from "../../../../src/ztunnel/proxy/route.ts";
import { type NodeScope, socketOptions } from "../../../../src/ztunnel/proxy/scope.ts";
import { createZtunnelMetrics } from "../../../../src/ztunnel/telemetry/metrics.ts";
import { TrafficReporter } from "../../../../src/ztunnel/telemetry/report.ts";
import { makeWorkload, type WorkloadSpec } from "../../../support/mesh-builders.ts";
import { newRoot, newWorkload } from "../../shared/identity/pki.ts";

export function tcpConnect(to: SocketAddress, from: IpAddress): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: to.ip,
      port: to.port,
      localAddress: from,
      allowHalfOpen: true,
      noDelay: true,
    });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      socket.on("error", () => undefined);
      resolve(socket);
    });
  });
}

const own = hostNetwork(systemClock);

/** The sockets of one address. */
class LoopbackNetwork implements PodNetwork {
  readonly ip: IpAddress;
  /** Where the next accepted connections "were going", oldest first. */
  readonly captured: SocketAddress[] = [];
  readonly dials: DialTcpOptions[] = [];
  /** How many processes seem to listen on each port. */
  listeners = 1;

  constructor(ip: IpAddress) {
    this.ip = ip;
  }

  async listenTcp(
    options: { readonly port: number },
    onSocket: (socket: Socket) => void,
  ): Promise<{ port: number; transparent: boolean; close: () => Promise<void> }> {
    const server = createServer(
      { allowHalfOpen: true, pauseOnConnect: true, noDelay: true },
      onSocket,
    );
    server.listen({ host: this.ip, port: options.port });
    await once(server, "listening");
    return {
      port: options.port,
      transparent: true,
      close: async () => {
        server.close();
      },
    };
  }

  async dialTcp(options: DialTcpOptions): Promise<Socket> {
    this.dials.push(options);
    try {
      const socket = await tcpConnect(options.destination, options.sourceIp ?? this.ip);
      options.signal?.throwIfAborted();
      return socket.pause();
    } catch (thrown) {
      if (options.signal?.aborted) throw options.signal.reason;
      throw asMeshError(thrown, "connect-failed", "connection failed");
    }
  }

  /** Applications' connections are the real ones. */
  acceptTcp(
    options: ListenTcpOptions,
    onConnection: (connection: TcpConnection) => void,
  ): Promise<TcpListener> {
    return own.acceptTcp({ ...options, ip: this.ip }, onConnection);
  }

  connectTcp(options: DialTcpOptions): TcpConnection | Promise<TcpConnection> {
    this.dials.push(options);
    return own.connectTcp({ sourceIp: this.ip, ...options });
  }

  bindUdp(): Promise<never> {
    return Promise.reject(new Error("no UDP here"));
  }

  originalDestination(): SocketAddress | undefined {
    return this.captured.shift();
  }

  localAddress(connection: TcpConnection): SocketAddress | undefined {
    return own.localAddress(connection);
  }

  peerAddress(connection: Socket | TcpConnection): SocketAddress | undefined {
    return own.peerAddress(connection);
  }

  hasIpv6Loopback(): boolean {
    return false;
  }

  listenersOn(): number {
    return this.listeners;
  }
}

export interface LoopbackPod {
  readonly ip: IpAddress;
  readonly workload: Workload;
  readonly network: LoopbackNetwork;
  readonly proxy: RunningPodProxy;
}

export class LoopbackMesh {
  readonly issuer: Issuer = newRoot();
  readonly store: MeshStore = new MeshStore();
  readonly decisions: DecisionRing = new DecisionRing(100);
  readonly logLines: string[] = [];
  readonly metrics: Metrics = new Metrics();
  readonly node: NodeScope;
  /** Identities whose certificate cannot be had. */
  readonly withoutCertificate: Set<string> = new Set();
  readonly #certificates = new Map<string, WorkloadCertificate>();
  readonly #prefix =
    `127.${20 + Math.floor(Math.random() * 200)}.${Math.floor(Math.random() * 250)}`;
  readonly #pods: LoopbackPod[] = [];
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  #nextHost = 1;

  constructor(env: Readonly<Record<string, string>> = {}) {
    const config: ZtunnelConfig = loadConfig({
      env: { IPV6_ENABLED: "false", ISTIO_META_DNS_CAPTURE: "false", ...env },
      readFile: () => undefined,
      fileExists: () => false,
      cpus: 2,
    });
    const logger = createLogger(
      {
        clock: systemClock,
        filter: new LogFilter("info"),
        format: "plain",
        write: (line) => this.logLines.push(line),
      },
      "app",
    );
    const reporter = new TrafficReporter(
      createZtunnelMetrics(this.metrics, "test"),
      logger.scope("access"),
      systemClock,
    );
    this.metrics.beforeRender(() => reporter.flush());
    this.node = {
      config,
      store: this.store,
      secrets: this.#secrets(),
      reporter,
      decisions: this.decisions,
      demand: undefined,
      resolveHostname: () => Promise.resolve([]),
      illegalPorts: illegalPorts({ socks5: config.socks5 }),
      sockets: socketOptions(config),
      logger,
      policyLogger: logger,
      clock: systemClock,
      random: Math.random,
    };
  }

  address(): IpAddress {
    return ipOf(`${this.#prefix}.${this.#nextHost++}`);
  }

  async addPod(
    name: string,
    spec: WorkloadSpec = {},
    options: Pick<PodProxyOptions, "companion"> = {},
  ): Promise<LoopbackPod> {
    const ip = this.address();
    const workload = makeWorkload(name, { ips: [ip], ...spec });
    this.store.apply({ addresses: [{ kind: "workload", workload }] });
    const network = new LoopbackNetwork(ip);
    const { namespace, serviceAccount } = workload;
    const info = { name, namespace, serviceAccount };
    const proxy = await startPodProxy(this.node, info, network, { kind: "pod", ...options });
    const pod = { ip, workload, network, proxy };
    this.#pods.push(pod);
    return pod;
  }

  /** An application that listens at a pod; resolves to its port, which 0 leaves to the kernel. */
  async serve(ip: IpAddress, port: number, onSocket: (socket: Socket) => void): Promise<number> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#keep(socket);
      onSocket(socket);
    });
    server.listen({ host: ip, port });
    await once(server, "listening");
    this.#servers.push(server);
    return (server.address() as AddressInfo).port;
  }

  /** The pod's application connects to a destination and is captured on 15001. */
  outbound(pod: LoopbackPod, destination: SocketAddress): Promise<Socket> {
    pod.network.captured.push(destination);
    return this.connect({ ip: pod.ip, port: 15001 }, pod.ip);
  }

  /** Somebody connects to the pod in the clear and is captured on 15006. */
  plaintext(pod: LoopbackPod, port: number, from: IpAddress): Promise<Socket> {
    pod.network.captured.push({ ip: pod.ip, port });
    return this.connect({ ip: pod.ip, port: 15006 }, from);
  }

  async connect(to: SocketAddress, from: IpAddress): Promise<Socket> {
    const socket = await tcpConnect(to, from);
    this.#keep(socket);
    return socket;
  }

  certificate(identity: string): WorkloadCertificate {
    let found = this.#certificates.get(identity);
    if (found === undefined) {
      found = newWorkload(this.issuer, { uris: [identity] });
      this.#certificates.set(identity, found);
    }
    return found;
  }

  /** From now on this identity's proxy shows another certificate. */
  present(identity: string, certificate: WorkloadCertificate): void {
    this.#certificates.set(identity, certificate);
  }

  /** The access-log lines so far, without their time. */
  accessLog(): string[] {
    return this.logLines
      .map((line) => line.split("\t").slice(1).join("\t").trimEnd())
      .filter((line) => /^\w+\taccess\t/.test(line));
  }

  stop(): void {
    for (const { proxy } of this.#pods) proxy.stop();
    for (const socket of this.#sockets) socket.destroy();
    for (const server of this.#servers) server.close();
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => this.#sockets.delete(socket));
  }

  #secrets(): SecretSource {
    return {
      fetch: (identity) => {
        const name = formatSpiffe(identity);
        return this.withoutCertificate.has(name)
          ? Promise.reject(new MeshError("identity-unavailable", "identity error: refused"))
          : Promise.resolve(this.certificate(name));
      },
      prefetch: () => undefined,
      forget: () => undefined,
      snapshot: () => [],
      close: () => undefined,
    };
  }
}

/** Everything until the other side ends. */
export async function readAll(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString();
  });
  await new Promise<void>((resolve) => {
    socket.once("end", resolve);
    socket.once("close", resolve);
  });
  return text;
}
