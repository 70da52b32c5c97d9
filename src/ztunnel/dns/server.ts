/** The DNS proxy of one pod: UDP and TCP on its loopback (wire/ztunnel.md section 7). */
import { randomInt } from "node:crypto";
import type { Socket } from "node:net";
import type { Clock } from "../../shared/base/clock.ts";
import { type IpAddress, ipOf } from "../../shared/net/ip.ts";
import type { PodNetwork, TcpListener } from "../../shared/os/network.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import { defaultForwardLimits, Forwarder, type ForwardLimits } from "./forward.ts";
import { DnsHandler } from "./handler.ts";
import type { DnsMetrics, DnsProtocol } from "./metrics.ts";
import type { ResolverSettings } from "./resolver-settings.ts";
import { TcpExchanger } from "./tcp-exchanger.ts";
import { TcpSession } from "./tcp-session.ts";
import { UdpExchanger } from "./udp-exchanger.ts";
import { UdpListener } from "./udp-listener.ts";
import type { DnsClient, DnsView } from "./view.ts";

export interface DnsServerDeps {
  readonly network: Pick<PodNetwork, "listenTcp" | "bindUdp" | "dialTcp" | "hasIpv6Loopback">;
  readonly view: DnsView;
  /** The pod's own workload. Undefined while the control plane has not sent it: queries get SERVFAIL. */
  readonly client: () => DnsClient | undefined | Promise<DnsClient | undefined>;
  /** Asked for every query, so cheap; see resolv-conf-file.ts. */
  readonly resolver: () => ResolverSettings;
  readonly metrics: DnsMetrics;
  /** Of scope `dns`. */
  readonly logger: Logger;
  readonly clock: Clock;
  /** 0 (inclusive) to 1 (exclusive); shuffles answers. */
  readonly random: () => number;
}

export interface DnsServerSettings {
  /** 0 picks one that is free for all listeners. */
  readonly port: number;
  readonly reusePort: boolean;
  readonly mark?: number | undefined;
  /** Off: no listener on ::1, no AAAA answers. */
  readonly ipv6Enabled: boolean;
  readonly clusterDomain: string;
  readonly preferredNamespace?: string | undefined;
  readonly forwardLimits?: ForwardLimits;
}

export interface DnsServer {
  readonly port: number;
  /** A question from inside the process, answered as if the pod had sent it. */
  ask(packet: Uint8Array, protocol: DnsProtocol): Promise<Uint8Array | undefined>;
  /** Waits for open queries to be answered, at most until the deadline; then as stop(). */
  drain(deadlineMs: number): Promise<void>;
  /** Cuts everything now. Idempotent. */
  stop(): void;
}

/** Connections of one pod at a time; one more is closed at once. */
const MAX_TCP_SESSIONS = 256;
/** Tries to find a port that is free for UDP and TCP in both families. */
const PORT_TRIES = 8;

class RunningServer implements DnsServer {
  readonly #deps: DnsServerDeps;
  readonly #forwarder: Forwarder;
  readonly #handler: DnsHandler;
  readonly #udp: UdpListener[] = [];
  readonly #tcp: TcpListener[] = [];
  readonly #sessions = new Set<TcpSession>();
  #openQueries = 0;
  #onIdle: (() => void) | undefined;
  port = 0;

  constructor(deps: DnsServerDeps, settings: DnsServerSettings) {
    this.#deps = deps;
    const upstream = { ...deps, mark: settings.mark, randomId: () => randomInt(0x10000) };
    this.#forwarder = new Forwarder(
      {
        clock: deps.clock,
        nameservers: () => deps.resolver().nameservers,
        exchanger: (server, protocol) =>
          protocol === "udp"
            ? new UdpExchanger(upstream, server)
            : new TcpExchanger(upstream, server),
      },
      settings.forwardLimits ?? defaultForwardLimits,
    );
    this.#handler = new DnsHandler(
      {
        ...deps,
        searchDomains: () => deps.resolver().searchDomains,
        forward: (query, protocol) => this.#forwarder.forward(query, protocol),
      },
      settings,
    );
  }

  /** Binds all listeners. Whoever calls stops the server when this fails. */
  async listen(settings: DnsServerSettings): Promise<void> {
    const { network, logger } = this.#deps;
    const mark = settings.mark === undefined ? {} : { mark: settings.mark };
    const addresses: IpAddress[] = [ipOf("127.0.0.1")];
    if (settings.ipv6Enabled && network.hasIpv6Loopback()) addresses.push(ipOf("::1"));
    this.port = settings.port;
    for (const ip of addresses) {
      const bind = { ip, port: this.port, reusePort: settings.reusePort, ...mark };
      const socket = await network.bindUdp(bind);
      const udp = new UdpListener(socket, { logger, handle: (packet) => this.ask(packet, "udp") });
      this.#udp.push(udp);
      this.port = udp.port;
      const listener = await network.listenTcp(
        { ...bind, port: this.port, transparent: "never" },
        (accepted) => this.#accept(accepted),
      );
      this.#tcp.push(listener);
    }
  }

  async drain(deadlineMs: number): Promise<void> {
    for (const listener of this.#tcp) void listener.close();
    for (const session of this.#sessions) session.finish();
    // The UDP sockets stay until nothing is open: an answer must leave from where its query arrived.
    if (this.#openQueries > 0) {
      await new Promise<void>((resolve) => {
        const deadline = this.#deps.clock.after(deadlineMs, resolve);
        this.#onIdle = () => {
          deadline.cancel();
          resolve();
        };
      });
      // The last answer is sent on just after its query counts as done.
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.stop();
  }

  stop(): void {
    for (const listener of this.#tcp) void listener.close();
    for (const listener of this.#udp) listener.close();
    for (const session of this.#sessions) session.close();
    this.#forwarder.close();
    this.#onIdle?.();
  }

  async ask(packet: Uint8Array, protocol: DnsProtocol): Promise<Uint8Array | undefined> {
    this.#openQueries++;
    try {
      return await this.#handler.handle(packet, protocol);
    } finally {
      this.#openQueries--;
      if (this.#openQueries === 0) this.#onIdle?.();
    }
  }

  #accept(socket: Socket): void {
    if (this.#sessions.size >= MAX_TCP_SESSIONS) {
      socket.destroy();
      return;
    }
    const handle = (packet: Uint8Array): Promise<Uint8Array | undefined> => this.ask(packet, "tcp");
    const session = new TcpSession(socket, { clock: this.#deps.clock, handle }, () =>
      this.#sessions.delete(session),
    );
    this.#sessions.add(session);
  }
}

/** Resolves when all listeners are bound; rejects (and leaves nothing behind) when one cannot be. */
export async function startDnsServer(
  deps: DnsServerDeps,
  settings: DnsServerSettings,
): Promise<DnsServer> {
  for (let left = PORT_TRIES; ; left--) {
    const server = new RunningServer(deps, settings);
    try {
      await server.listen(settings);
      return server;
    } catch (error) {
      server.stop();
      if (settings.port !== 0 || left <= 1) throw error;
    }
  }
}
