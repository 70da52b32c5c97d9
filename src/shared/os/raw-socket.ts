/** Sockets made inside a namespace: created there, set up from outside, then adopted by Node. */
import type { SocketAddress } from "../net/authority.ts";
import { familyOf, type IpAddress } from "../net/ip.ts";
import { allowAcceptHandover } from "./accept-handover.ts";
import {
  AF_INET6,
  IPV6_V6ONLY,
  SO_MARK,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_IPV6,
  SOL_SOCKET,
  SOL_TCP,
  TCP_NODELAY,
} from "./constants.ts";
import { errnoText, SystemCallError } from "./errno.ts";
import { checked, closeDescriptor, libc } from "./libc.ts";
import type { BindUdpOptions, DialTcpOptions, ListenTcpOptions } from "./network.ts";
import type { NetworkNamespace } from "./network-namespace.ts";
import { domainOf, encodeSocketAddress } from "./socket-address.ts";
import {
  boundAddressOf,
  setInt,
  setKeepAlive,
  trySetForeignSource,
  trySetTransparentListener,
} from "./socket-options.ts";

export interface BoundListener {
  readonly fd: number;
  readonly port: number;
  readonly transparent: boolean;
}

/** A bound TCP socket, not listening yet. All options of accepted sockets are set here once: they inherit them. */
export function openListener(
  namespace: NetworkNamespace,
  options: ListenTcpOptions,
): BoundListener {
  return withSocket(namespace, domainOf(options.ip), SOCK_STREAM, (fd) => {
    // Connections in TIME_WAIT keep the port busy for a later listener unless both are set (perf.md section 10).
    setSharing(fd, options.ip, options.reusePort);
    setMark(fd, options.mark);
    setInt(fd, SOL_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
    if (options.keepAlive !== undefined) setKeepAlive(fd, options.keepAlive);
    const transparent = setTransparent(fd, options);
    bindSocket(fd, options.ip, options.port);
    if (options.reusePort) allowAcceptHandover(namespace);
    return { fd, port: boundAddressOf(fd)?.port ?? options.port, transparent };
  });
}

/** An unconnected TCP socket towards a destination. */
export function openDialer(namespace: NetworkNamespace, options: DialTcpOptions): number {
  return withSocket(namespace, domainOf(options.destination.ip), SOCK_STREAM, (fd) => {
    setMark(fd, options.mark);
    setInt(fd, SOL_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
    if (options.keepAlive !== undefined) setKeepAlive(fd, options.keepAlive);
    if (options.sourceIp !== undefined) {
      const refused = trySource(fd, options.sourceIp, options.destination);
      if (refused !== undefined) options.onSourceRefused?.(refused);
    }
    return fd;
  });
}

export function openUdp(namespace: NetworkNamespace, options: BindUdpOptions): number {
  return withSocket(namespace, domainOf(options.ip), SOCK_DGRAM, (fd) => {
    setSharing(fd, options.ip, options.reusePort);
    setMark(fd, options.mark);
    bindSocket(fd, options.ip, options.port);
    return fd;
  });
}

/** Whether an address can be bound at all in this namespace. */
export function canBind(namespace: NetworkNamespace, ip: IpAddress): boolean {
  try {
    closeDescriptor(
      withSocket(namespace, domainOf(ip), SOCK_STREAM, (fd) => {
        bindSocket(fd, ip, 0);
        return fd;
      }),
    );
    return true;
  } catch {
    // Whatever the reason: it cannot.
    return false;
  }
}

/** Enters the namespace for socket() alone; closes the socket when its set-up fails. */
function withSocket<T>(
  namespace: NetworkNamespace,
  domain: number,
  type: number,
  setUp: (fd: number) => T,
): T {
  const { socket } = libc();
  const fd = namespace.enter(() =>
    checked("socket", socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
  );
  try {
    return setUp(fd);
  } catch (thrown) {
    closeDescriptor(fd);
    throw thrown;
  }
}

function setSharing(fd: number, ip: IpAddress, reusePort: boolean): void {
  setInt(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
  if (reusePort) setInt(fd, SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT");
  // The system-wide default (net.ipv6.bindv6only) must not decide whether we hear IPv4.
  if (domainOf(ip) === AF_INET6)
    setInt(fd, SOL_IPV6, IPV6_V6ONLY, ip === "::" ? 0 : 1, "IPV6_V6ONLY");
}

function setMark(fd: number, mark: number | undefined): void {
  if (mark !== undefined) setInt(fd, SOL_SOCKET, SO_MARK, mark, "SO_MARK");
}

function setTransparent(fd: number, options: ListenTcpOptions): boolean {
  if (options.transparent === "never") return false;
  const errno = trySetTransparentListener(fd);
  if (errno !== 0 && options.transparent === "required")
    throw new SystemCallError("setsockopt IP_TRANSPARENT", errno);
  return errno === 0;
}

/** Returns why the source address was refused. */
function trySource(fd: number, source: IpAddress, destination: SocketAddress): string | undefined {
  const family = familyOf(source);
  if (family !== familyOf(destination.ip)) return "the families differ";
  const errno = trySetForeignSource(fd, family);
  if (errno !== 0) return errnoText(errno);
  try {
    bindSocket(fd, source, 0);
    return undefined;
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}

function bindSocket(fd: number, ip: IpAddress, port: number): void {
  const address = encodeSocketAddress(ip, port);
  checked("bind", libc().bind(fd, address, address.length));
}
