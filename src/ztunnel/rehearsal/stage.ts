/** The stage of one act: two pods with their proxies, and an application in each. */
import type { Socket } from "node:net";
import type { Port } from "../../shared/hbone/flow/port.ts";
import { portOf } from "../../shared/hbone/flow.ts";
import type { PodNetwork, TcpListener } from "../../shared/os/network.ts";
import type { TcpConnection } from "../../shared/os/tcp-connection.ts";
import { type RunningPodProxy, startPodProxy } from "../proxy/pod-proxy.ts";
import type { NodeScope } from "../proxy/scope.ts";
import { clientIp, podInfo, serverAddress, serverIp, serviceAddress } from "./mesh.ts";
import { askPlainly, converse, haul, serve } from "./players.ts";
import { type Doors, stageNetwork } from "./stage-network.ts";

const CONNECT_TIMEOUT_MS = 1_000;

export class Stage {
  exchanges = 0;
  connections = 0;
  readonly inTime: () => boolean;
  readonly #node: NodeScope;
  readonly #client: PodNetwork;
  readonly #server: PodNetwork;
  readonly #proxies: RunningPodProxy[] = [];
  readonly #connections: TcpConnection[] = [];
  readonly #sockets: Socket[] = [];
  #application: TcpListener | undefined;
  #closed = false;

  constructor(network: PodNetwork, node: NodeScope, inTime: () => boolean) {
    const doors: Doors = new Map();
    const common = { peerIp: clientIp, captured: serviceAddress, doors };
    this.inTime = inTime;
    this.#node = node;
    this.#client = stageNetwork(network, { ip: clientIp, ...common });
    this.#server = stageNetwork(network, { ip: serverIp, ...common });
  }

  async open(): Promise<void> {
    const own = { reusePort: false, transparent: "never" } as const;
    this.#application = await this.#server.acceptTcp({ ...serverAddress, ...own }, (connection) =>
      serve(this.#keep(connection)),
    );
    await this.#start("client", this.#client);
    await this.#start("server", this.#server);
  }

  async #start(name: "client" | "server", network: PodNetwork): Promise<void> {
    this.#proxies.push(await startPodProxy(this.#node, podInfo(name), network, { kind: "pod" }));
  }

  /** Asks over one connection while `more` says so. */
  async ask(more: () => boolean): Promise<void> {
    await converse(await this.#connect(), () => {
      const goesOn = this.inTime() && more();
      if (goesOn) this.exchanges++;
      return goesOn;
    });
  }

  async askOnce(): Promise<void> {
    let asked = false;
    await this.ask(() => {
      const isFirst = !asked;
      asked = true;
      return isFirst;
    });
  }

  /** Past the proxies. */
  async askPlainly(): Promise<void> {
    await askPlainly((socket) => this.#sockets.push(socket), this.#application?.port ?? 0);
  }

  async haul(): Promise<void> {
    await haul(await this.#connect());
  }

  close(): void {
    this.#closed = true;
    void this.#application?.close();
    for (const proxy of this.#proxies) proxy.stop();
    for (const connection of this.#connections) connection.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #connect(): Promise<Port> {
    this.connections++;
    const connecting = this.#client.connectTcp({
      destination: { ip: clientIp, port: this.#node.config.outboundPort },
      timeoutMs: CONNECT_TIMEOUT_MS,
    });
    return this.#keep(connecting instanceof Promise ? await connecting : connecting);
  }

  #keep(connection: TcpConnection): Port {
    this.#connections.push(connection);
    if (this.#closed) connection.close();
    return portOf(connection);
  }
}
