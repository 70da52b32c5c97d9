/** Asks one nameserver over UDP, from source ports that keep changing. */
import type { Socket } from "node:dgram";
import { describeError } from "../../shared/base/errors.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";
import { familyOf, ipOf } from "../../shared/net/ip.ts";
import type { PodNetwork } from "../../shared/os/network.ts";
import { type ExchangeOutcome, type Exchanger, failed } from "./exchange.ts";
import { UdpChannel, type UdpChannelDeps } from "./udp-channel.ts";

export interface ExchangerDeps extends UdpChannelDeps {
  readonly network: Pick<PodNetwork, "bindUdp" | "dialTcp">;
  readonly mark: number | undefined;
}

const anyAddress = { 4: ipOf("0.0.0.0"), 6: ipOf("::") } as const;

export class UdpExchanger implements Exchanger {
  readonly #deps: ExchangerDeps;
  readonly #server: SocketAddress;
  readonly #channels = new Set<UdpChannel>();
  #current: UdpChannel | undefined;
  /** Whoever needs a new socket waits for the same one. */
  #opening: Promise<UdpChannel> | undefined;
  #closed = false;

  constructor(deps: ExchangerDeps, server: SocketAddress) {
    this.#deps = deps;
    this.#server = server;
  }

  async exchange(query: Uint8Array, timeoutMs: number): Promise<ExchangeOutcome> {
    try {
      const channel = await this.#usableChannel();
      return await channel.send(query, timeoutMs);
    } catch (error) {
      return failed(describeError(error));
    }
  }

  close(): void {
    this.#closed = true;
    for (const channel of this.#channels) channel.close("stopped");
    this.#channels.clear();
  }

  async #usableChannel(): Promise<UdpChannel> {
    while (!this.#current?.usable) {
      this.#opening ??= this.#open().finally(() => {
        this.#opening = undefined;
      });
      // Others who waited too may have used it up by the time we run again.
      this.#current = await this.#opening;
    }
    return this.#current;
  }

  async #open(): Promise<UdpChannel> {
    const { network, mark } = this.#deps;
    const socket = await network.bindUdp({
      ip: anyAddress[familyOf(this.#server.ip)],
      port: 0,
      reusePort: false,
      ...(mark === undefined ? {} : { mark }),
    });
    await connect(socket, this.#server);
    const channel = new UdpChannel(socket, this.#deps);
    if (this.#closed) {
      channel.close("stopped");
      throw new Error("stopped");
    }
    for (const old of this.#channels) if (old.closed) this.#channels.delete(old);
    this.#channels.add(channel);
    return channel;
  }
}

/** Rejects when the nameserver cannot be reached from here at all; the socket is closed by then. */
function connect(socket: Socket, server: SocketAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      socket.close();
      reject(error);
    };
    socket.once("error", onError);
    socket.connect(server.port, server.ip, () => {
      socket.off("error", onError);
      resolve();
    });
  });
}
