/** The two carriers of a handshake, so that one set of cases judges both: Node's TLS sockets, and OpenSSL on a bare connection. */
import { once } from "node:events";
import net from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { type Clock, systemClock } from "../../../../src/shared/base/clock.ts";
import {
  type SecuredConnection,
  secureClient,
  secureServer,
} from "../../../../src/shared/identity/connection-handshake.ts";
import { handshakeClient, handshakeServer } from "../../../../src/shared/identity/handshake.ts";
import type { SecuredSocket } from "../../../../src/shared/identity/handshake-attempt.ts";
import type { AlsoTrusted } from "../../../../src/shared/identity/peer.ts";
import type { SpiffeIdentity } from "../../../../src/shared/identity/spiffe.ts";
import type { WorkloadCertificate } from "../../../../src/shared/identity/workload-certificate.ts";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { hostNetwork } from "../../../../src/shared/os/pod-network.ts";
import { TcpConnection } from "../../../../src/shared/os/tcp-connection.ts";
import type { ChannelEvents } from "../../../../src/shared/tls/channel.ts";
import type { ConnectionChannel } from "../../../../src/shared/tls/connection-channel.ts";
import { deferred } from "../../../support/deferred.ts";

export type Carrier = "node" | "bare";
export const carriers: readonly Carrier[] = ["node", "bare"];

/** A connection before its handshake: a socket or stream of Node's, or a bare connection. */
export type Link = Duplex | TcpConnection;

export interface Shaking {
  readonly certificate: WorkloadCertificate;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  /** Of a server. */
  readonly alsoTrusted?: AlsoTrusted;
}

/** A connection after its handshake. Reads from the start. */
export interface Session {
  readonly peer: SpiffeIdentity;
  /** What Node knows of it, if Node carries it. */
  readonly tls: TLSSocket | undefined;
  readonly destroyed: boolean;
  /** All that came, once it has closed. */
  readonly text: Promise<string>;
  /** Why it closed; undefined if it was in order. */
  readonly failure: Promise<Error | undefined>;
  send(text: string): void;
  end(text: string): void;
  close(): void;
}

export async function asClient(
  link: Link,
  shaking: Shaking,
  acceptedIdentities: readonly string[],
): Promise<Session> {
  const common = { clock: systemClock, ...shaking, acceptedIdentities };
  return link instanceof TcpConnection
    ? bareSession(await secureClient({ ...common, connection: link }))
    : nodeSession(await handshakeClient({ ...common, socket: link }));
}

export async function asServer(
  link: Link,
  shaking: Shaking,
  trustDomain = "cluster.local",
): Promise<Session> {
  const common = { clock: systemClock, ...shaking, trustDomain };
  return link instanceof TcpConnection
    ? bareSession(await secureServer({ ...common, connection: link }))
    : nodeSession(await handshakeServer({ ...common, socket: link }));
}

export const isClosed = (link: Link): boolean =>
  link instanceof TcpConnection ? link.closed : link.destroyed;

export function closeLink(link: Link): void {
  if (link instanceof TcpConnection) link.close();
  else link.destroy();
}

function nodeSession({ tls, peer }: SecuredSocket): Session {
  let text = "";
  let failure: Error | undefined;
  const closed = new Promise<void>((resolve) => tls.once("close", () => resolve()));
  tls.on("error", (error) => {
    failure = error;
  });
  tls.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  // As a channel does at the peer's end.
  tls.once("end", () => tls.destroy());
  return {
    peer,
    tls,
    get destroyed() {
      return tls.destroyed;
    },
    text: closed.then(() => text),
    failure: closed.then(() => failure),
    send: (sent) => void tls.write(sent),
    end: (sent) => void tls.end(sent),
    close: () => void tls.destroy(),
  };
}

function bareSession({ channel, peer }: SecuredConnection): Session {
  const room = Buffer.alloc(32 * 1024);
  const closed = deferred<void>();
  let text = "";
  let failure: Error | undefined;
  const events: ChannelEvents = {
    channelWritten: () => undefined,
    channelFailed: (error) => {
      failure = error;
    },
    channelEnded: () => undefined,
    channelClosed: closed.resolve,
  };
  channel.listen(events);
  channel.read({
    nextBuffer: () => room,
    onRead: (length) => {
      text += room.toString("utf8", 0, length);
      return true;
    },
  });
  return sessionOf(channel, peer, {
    text: closed.promise.then(() => text),
    failure: closed.promise.then(() => failure),
  });
}

const sessionOf = (
  channel: ConnectionChannel,
  peer: SpiffeIdentity,
  outcome: Pick<Session, "text" | "failure">,
): Session => ({
  ...outcome,
  peer,
  tls: undefined,
  get destroyed() {
    return channel.destroyed;
  },
  send: (sent) => void channel.write(Buffer.from(sent)),
  end: (sent) => channel.end(Buffer.from(sent)),
  close: () => channel.destroy(),
});

const loopback = ipOf("127.0.0.1");
const network = hostNetwork(systemClock);

/** Listens for connections of each carrier. */
export class Links {
  readonly ports: Readonly<Record<Carrier, number>>;
  readonly #waiting: Readonly<Record<Carrier, ((link: Link) => void)[]>>;
  readonly #close: () => void;

  private constructor(
    ports: Readonly<Record<Carrier, number>>,
    waiting: Readonly<Record<Carrier, ((link: Link) => void)[]>>,
    close: () => void,
  ) {
    this.ports = ports;
    this.#waiting = waiting;
    this.#close = close;
  }

  static async open(): Promise<Links> {
    const waiting: Record<Carrier, ((link: Link) => void)[]> = { node: [], bare: [] };
    const came = (carrier: Carrier, link: Link): void => {
      const taker = waiting[carrier].shift();
      if (taker === undefined) closeLink(link);
      else taker(link);
    };
    const server = net.createServer(
      { allowHalfOpen: true, pauseOnConnect: true, noDelay: true },
      (socket) => came("node", socket),
    );
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as net.AddressInfo;
    const bare = await network.acceptTcp(
      { ip: loopback, port: 0, reusePort: false, transparent: "never" },
      (connection) => came("bare", connection),
    );
    return new Links({ node: port, bare: bare.port }, waiting, () => {
      server.close();
      void bare.close();
    });
  }

  /** The next connection to the port of this carrier. */
  accept(carrier: Carrier): Promise<Link> {
    return new Promise((resolve) => this.#waiting[carrier].push(resolve));
  }

  /** Both ends of a connection. */
  async pair(client: Carrier, server: Carrier): Promise<[client: Link, server: Link]> {
    const accepted = this.accept(server);
    return [await dial(client, this.ports[server]), await accepted];
  }

  /** A connection of this carrier, and a plain socket at its far end. */
  async facing(carrier: Carrier): Promise<[near: Link, far: net.Socket]> {
    const accepted = this.accept(carrier);
    const far = await dialNode(this.ports[carrier]);
    return [await accepted, far];
  }

  close(): void {
    this.#close();
  }
}

export async function dial(carrier: Carrier, port: number): Promise<Link> {
  const destination = { ip: loopback, port };
  return carrier === "node" ? dialNode(port) : network.connectTcp({ destination, timeoutMs: 2000 });
}

async function dialNode(port: number): Promise<net.Socket> {
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  await once(socket, "connect");
  return socket;
}
