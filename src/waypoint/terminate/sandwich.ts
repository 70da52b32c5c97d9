/**
 * Connections that the ztunnel of this pod has taken out of their tunnels and hands us over loopback, each with a PROXY protocol
 * head that says who comes and where to (wire/waypoint.md section 8.4).
 */
import type { Socket } from "node:net";
import type { Clock } from "../../shared/base/clock.ts";
import { describeError, MeshError } from "../../shared/base/errors.ts";
import { portOf } from "../../shared/hbone/flow.ts";
import { formatSpiffe, type SpiffeIdentity } from "../../shared/identity/spiffe.ts";
import { formatSocketAddress } from "../../shared/net/authority.ts";
import type { PodNetwork } from "../../shared/os/network.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import type { DownstreamInfo } from "../http/stream.ts";
import type { Connections } from "./connections.ts";
import { Listeners } from "./listeners.ts";
import { type ProxyHead, readProxyHead } from "./proxy-protocol.ts";

/** The head comes first thing; who does not send it holds a socket for nothing. */
const headDeadlineMs = 5_000;

export interface SandwichDeps {
  readonly network: Pick<PodNetwork, "listenTcp">;
  readonly connections: Pick<Connections, "serve">;
  readonly identity: SpiffeIdentity;
  readonly clock: Clock;
  readonly log: Logger;
}

export class Sandwich {
  readonly #deps: SandwichDeps;
  readonly #listeners: Listeners;
  #connectionIds = 0;

  constructor(deps: SandwichDeps) {
    this.#deps = deps;
    const { network, log } = deps;
    this.#listeners = new Listeners({
      log,
      listen: (options) => network.listenTcp(options, (socket) => this.handle(socket)),
    });
  }

  /** On loopback alone: what comes there is believed. */
  async listen(port: number, ipv6: boolean): Promise<void> {
    const hosts = ipv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
    try {
      await this.#listeners.apply(hosts.map((host) => ({ host, port })));
    } catch (thrown) {
      // A pod may have one family only.
      if (this.ports.length === 0) throw thrown;
      this.#deps.log.warn("cannot listen", { error: describeError(thrown) });
    }
  }

  get ports(): readonly number[] {
    return this.#listeners.ports;
  }

  close(): Promise<void> {
    return this.#listeners.close();
  }

  /** Serves one accepted socket to its end. Never rejects. */
  handle(socket: Socket): void {
    socket.on("error", () => undefined);
    this.#serve(socket).catch((thrown: unknown) => {
      this.#deps.log.warn("connection refused", { error: describeError(thrown) });
      socket.destroy();
    });
  }

  async #serve(socket: Socket): Promise<void> {
    const { clock, connections, identity } = this.#deps;
    const head = await headOf(socket, clock);
    const { source, destination } = head;
    const downstream: DownstreamInfo = {
      peerPrincipal: head.identity,
      localPrincipal: formatSpiffe(identity),
      source,
      destination,
      connectAuthority: formatSocketAddress(destination),
      connectHeaders: [],
      requestedServerName: undefined,
      connectionId: ++this.#connectionIds,
      startedWallMs: clock.wallMs(),
    };
    await connections.serve({ port: portOf(socket), readBefore: undefined }, downstream);
  }
}

type Head = Extract<ProxyHead, { readonly kind: "head" }>;

/** Reads the head and nothing more: what came behind it is given back. */
function headOf(socket: Socket, clock: Clock): Promise<Head> {
  return new Promise((resolve, reject) => {
    let bytes: Buffer = Buffer.alloc(0);
    const fail = (reason: string): void => {
      settle();
      reject(new MeshError("bad-connect", `PROXY protocol: ${reason}`));
    };
    const onData = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      const head = readProxyHead(bytes);
      if (head.kind === "more") return;
      if (head.kind === "bad") {
        fail(head.reason);
        return;
      }
      settle();
      if (bytes.length > head.length) socket.unshift(bytes.subarray(head.length));
      resolve(head);
    };
    const onGone = (): void => fail("the connection ended before its head");
    const deadline = clock.after(headDeadlineMs, () => fail("its head did not come in time"));
    const settle = (): void => {
      deadline.cancel();
      socket.pause();
      socket.off("data", onData).off("end", onGone).off("close", onGone);
    };
    socket.on("data", onData).on("end", onGone).on("close", onGone);
    socket.resume();
  });
}
