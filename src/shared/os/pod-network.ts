/** The real network of one namespace: sockets are made inside it by system calls and then adopted by Node. */
import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { createServer, type Socket } from "node:net";
import type { Clock } from "../base/clock.ts";
import { asMeshError, MeshError } from "../base/errors.ts";
import { formatSocketAddress, type SocketAddress } from "../net/authority.ts";
import { familyOf, ipOf, parseIp } from "../net/ip.ts";
import { adoptTcpSocket } from "./adopt-socket.ts";
import { systemFailure } from "./errno.ts";
import { countListeners } from "./listeners.ts";
import type {
  BindUdpOptions,
  DialTcpOptions,
  ListenTcpOptions,
  PodNetwork,
  TcpListener,
} from "./network.ts";
import { NetworkNamespace } from "./network-namespace.ts";
import { canBind, openDialer, openListener, openUdp } from "./raw-socket.ts";
import { boundAddressOf, originalDestinationOf } from "./socket-options.ts";
import { TcpAcceptor } from "./tcp-acceptor.ts";
import { TcpConnection } from "./tcp-connection.ts";
import { connectDescriptor, DialTimeout } from "./tcp-dial.ts";

const DEFAULT_BACKLOG = 128;
const IPV6_LOOPBACK = ipOf("::1");

/** Sockets of this namespace. The namespace must stay open as long as the network is used. */
export function podNetwork(namespace: NetworkNamespace, clock: Clock): PodNetwork {
  return {
    listenTcp: (options, onSocket) => listenTcp(namespace, options, onSocket),
    acceptTcp: (options, onConnection) => acceptTcp(namespace, clock, options, onConnection),
    dialTcp: (options) => dialTcp(namespace, clock, options),
    connectTcp: (options) => connectTcp(namespace, clock, options),
    bindUdp: (options) => bindUdp(namespace, options),
    originalDestination: ({ fd }) => originalDestinationOf(fd) ?? boundAddressOf(fd),
    localAddress: ({ fd, closed }) => (closed ? undefined : boundAddressOf(fd)),
    peerAddress: (connection) =>
      connection instanceof TcpConnection
        ? connection.peer
        : addressOf(connection.remoteAddress, connection.remotePort),
    hasIpv6Loopback: () => canBind(namespace, IPV6_LOOPBACK),
    listenersOn: (port) => countListeners(namespace, port),
  };
}

/** Sockets of the process's own namespace. */
export function hostNetwork(clock: Clock): PodNetwork {
  return podNetwork(NetworkNamespace.own(), clock);
}

/** Whether a dial ended because its deadline passed. */
export function isDialTimeout(thrown: unknown): boolean {
  return thrown instanceof MeshError && thrown.cause instanceof DialTimeout;
}

async function listenTcp(
  namespace: NetworkNamespace,
  options: ListenTcpOptions,
  onSocket: (socket: Socket) => void,
): Promise<TcpListener> {
  const what = `listen ${options.port} in ${namespace.label}`;
  const bound = failingAs("system-failed", what, () => openListener(namespace, options));
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, onSocket);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ fd: bound.fd, backlog: options.backlog ?? DEFAULT_BACKLOG }, () => {
        server.off("error", reject);
        resolve();
      });
    });
  } catch (thrown) {
    throw systemFailure("system-failed", what, thrown);
  }
  // A failed accept (out of descriptors) concerns that one connection; the listener goes on.
  server.on("error", (error) => options.onAcceptError?.(asMeshError(error, "system-failed", what)));
  return {
    port: bound.port,
    transparent: bound.transparent,
    close: async () => {
      // Closes the descriptor at once; its callback would wait for the accepted sockets, which live on.
      if (server.listening) server.close();
    },
  };
}

async function acceptTcp(
  namespace: NetworkNamespace,
  clock: Clock,
  options: ListenTcpOptions,
  onConnection: (connection: TcpConnection) => void,
): Promise<TcpListener> {
  const what = `listen ${options.port} in ${namespace.label}`;
  const onError = (error: Error): void =>
    options.onAcceptError?.(asMeshError(error, "system-failed", what));
  return failingAs("system-failed", what, () => {
    const { fd, port, transparent } = openListener(namespace, options);
    const backlog = options.backlog ?? DEFAULT_BACKLOG;
    const acceptor = new TcpAcceptor(fd, backlog, clock, { onConnection, onError });
    return { port, transparent, close: async () => acceptor.close() };
  });
}

function connectTcp(
  namespace: NetworkNamespace,
  clock: Clock,
  options: DialTcpOptions,
): TcpConnection | Promise<TcpConnection> {
  const { destination, signal } = options;
  signal?.throwIfAborted();
  const failure = (thrown: unknown): unknown =>
    signal?.aborted
      ? signal.reason
      : systemFailure("connect-failed", `connect ${formatSocketAddress(destination)}`, thrown);
  try {
    const fd = openDialer(namespace, options);
    const connection = connectDescriptor(fd, destination, clock, options);
    if (connection instanceof TcpConnection) return connection;
    return connection.catch((thrown: unknown) => {
      throw failure(thrown);
    });
  } catch (thrown) {
    throw failure(thrown);
  }
}

async function dialTcp(
  namespace: NetworkNamespace,
  clock: Clock,
  options: DialTcpOptions,
): Promise<Socket> {
  const { destination, signal } = options;
  signal?.throwIfAborted();
  const what = `connect ${formatSocketAddress(destination)}`;
  const fd = failingAs("connect-failed", what, () => openDialer(namespace, options));
  const socket = adoptTcpSocket(fd);
  try {
    await connected(socket, clock, options);
  } catch (thrown) {
    socket.destroy();
    if (signal?.aborted) throw signal.reason;
    throw systemFailure("connect-failed", what, thrown);
  }
  return socket;
}

function connected(socket: Socket, clock: Clock, options: DialTcpOptions): Promise<void> {
  const { destination, timeoutMs, signal } = options;
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void): void => {
      deadline.cancel();
      signal?.removeEventListener("abort", onAbort);
      socket.off("connect", onConnect);
      finish();
    };
    const onConnect = (): void =>
      settle(() => {
        socket.off("error", onError);
        resolve();
      });
    // Stays attached after a failure: destroying a half-made socket may emit once more.
    const onError = (error: Error): void => settle(() => reject(error));
    const onAbort = (): void => settle(() => reject(new Error("aborted")));
    const deadline = clock.after(timeoutMs, () =>
      settle(() => reject(new DialTimeout(`timed out after ${timeoutMs} ms`))),
    );
    signal?.addEventListener("abort", onAbort, { once: true });
    socket.on("connect", onConnect);
    socket.on("error", onError);
    socket.connect({ host: destination.ip, port: destination.port });
  });
}

async function bindUdp(
  namespace: NetworkNamespace,
  options: BindUdpOptions,
): Promise<DatagramSocket> {
  const what = `bind udp ${formatSocketAddress(options)} in ${namespace.label}`;
  const fd = failingAs("system-failed", what, () => openUdp(namespace, options));
  const socket = createSocket(familyOf(options.ip) === 4 ? "udp4" : "udp6");
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      reject(systemFailure("system-failed", what, error));
    };
    socket.once("error", onError);
    socket.bind({ fd }, () => {
      socket.off("error", onError);
      resolve(socket);
    });
  });
}

function addressOf(text: string | undefined, port: number | undefined): SocketAddress | undefined {
  if (text === undefined || port === undefined) return undefined;
  const zone = text.indexOf("%");
  const ip = parseIp(zone < 0 ? text : text.slice(0, zone));
  return ip === undefined ? undefined : { ip, port };
}

function failingAs<T>(code: "system-failed" | "connect-failed", what: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    throw systemFailure(code, what, thrown);
  }
}
