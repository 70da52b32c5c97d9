/**
 * The network as a seam: what the data path may ask of a network namespace. `podNetwork` and `hostNetwork` (beside this
 * file) are the real thing; a test can put its own in place.
 */
import type { Socket as DatagramSocket } from "node:dgram";
import type { Socket } from "node:net";
import type { MeshError } from "../base/errors.ts";
import type { SocketAddress } from "../net/authority.ts";
import type { IpAddress } from "../net/ip.ts";
import type { TcpConnection } from "./tcp-connection.ts";

/** TCP keepalive of one socket (wire/ztunnel.md section 3.6). */
export interface KeepAlive {
  readonly idleSeconds: number;
  readonly intervalSeconds: number;
  readonly probes: number;
  /** TCP_USER_TIMEOUT; undefined leaves the kernel's own rule. */
  readonly userTimeoutMs?: number;
}

/** Whether a listener may hand out sockets with foreign addresses: best effort, or it fails to bind, or not at all. */
type TransparentMode = "auto" | "required" | "never";

export interface ListenTcpOptions {
  /** `::` listens in both families. */
  readonly ip: IpAddress;
  /** 0 picks a free one. */
  readonly port: number;
  /** SO_REUSEPORT, so that an old and a new process can listen side by side. SO_REUSEADDR is always set. */
  readonly reusePort: boolean;
  readonly transparent: TransparentMode;
  /** SO_MARK of the listener; accepted sockets inherit it. */
  readonly mark?: number;
  /** Default 128. */
  readonly backlog?: number;
  readonly keepAlive?: KeepAlive;
  /** One connection could not be accepted, for instance for want of descriptors; the listener goes on. */
  readonly onAcceptError?: (error: MeshError) => void;
}

export interface TcpListener {
  readonly port: number;
  /** Whether IP_TRANSPARENT was granted, which decides whether source addresses can be preserved. */
  readonly transparent: boolean;
  /** Stops accepting at once; accepted sockets live on. Resolves when the port is free. Idempotent. */
  close(): Promise<void>;
}

export interface DialTcpOptions {
  readonly destination: SocketAddress;
  /** The address the other side shall see. Where that is refused, `onSourceRefused` is called and the own address used. */
  readonly sourceIp?: IpAddress | undefined;
  readonly onSourceRefused?: ((reason: string) => void) | undefined;
  readonly mark?: number | undefined;
  readonly timeoutMs: number;
  readonly keepAlive?: KeepAlive | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface BindUdpOptions {
  readonly ip: IpAddress;
  /** 0 picks a free one. */
  readonly port: number;
  readonly reusePort: boolean;
  readonly mark?: number;
}

export interface PodNetwork {
  /**
   * Sockets arrive paused (nothing is read before `resume()` or a reader takes over), half-open allowed, with TCP_NODELAY.
   * Rejects with MeshError `system-failed` that names port, namespace and reason.
   */
  listenTcp(options: ListenTcpOptions, onSocket: (socket: Socket) => void): Promise<TcpListener>;
  /** The same for connections that need no stream: they arrive bare. */
  acceptTcp(
    options: ListenTcpOptions,
    onConnection: (connection: TcpConnection) => void,
  ): Promise<TcpListener>;
  /**
   * Resolves to a connected socket, paused, half-open allowed, with TCP_NODELAY. Rejects with MeshError `connect-failed`, or
   * with the signal's reason; the socket is destroyed by then.
   */
  dialTcp(options: DialTcpOptions): Promise<Socket>;
  /** The same for a connection that needs no stream; at hand at once where the destination is on this machine. */
  connectTcp(options: DialTcpOptions): TcpConnection | Promise<TcpConnection>;
  bindUdp(options: BindUdpOptions): Promise<DatagramSocket>;
  /** Where an accepted connection was going before it was redirected; its own local address when it was not. */
  originalDestination(connection: TcpConnection): SocketAddress | undefined;
  /** Undefined when the connection is already gone. v4-mapped addresses are folded. */
  localAddress(connection: TcpConnection): SocketAddress | undefined;
  peerAddress(connection: Socket | TcpConnection): SocketAddress | undefined;
  /** Whether [::1] can be bound here (IPv6 may be off in the pod). */
  hasIpv6Loopback(): boolean;
  /** TCP sockets that listen on a port here, of whatever process. Throws where that cannot be seen. */
  listenersOn(port: number): number;
}
