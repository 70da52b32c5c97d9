/** Options of raw sockets. Buffers are reused: all of this is synchronous and on one thread (perf.md section 6). */
import type { SocketAddress } from "../net/authority.ts";
import type { IpFamily } from "../net/ip.ts";
import {
  IP_BIND_ADDRESS_NO_PORT,
  IP_FREEBIND,
  IP_TRANSPARENT,
  IP6T_SO_ORIGINAL_DST,
  IPV6_FREEBIND,
  IPV6_TRANSPARENT,
  SO_KEEPALIVE,
  SO_ORIGINAL_DST,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
  SOL_TCP,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_USER_TIMEOUT,
} from "./constants.ts";
import { SystemCallError } from "./errno.ts";
import { lastErrno, libc } from "./libc.ts";
import type { KeepAlive } from "./network.ts";
import { decodeSocketAddress, INET6_BYTES } from "./socket-address.ts";

const intBytes = Buffer.alloc(4);
const addressBytes = Buffer.alloc(INET6_BYTES);
const lengthBytes = Buffer.alloc(4);

/** Returns 0, or the errno. */
export function trySetInt(fd: number, level: number, name: number, value: number): number {
  intBytes.writeInt32LE(value, 0);
  return libc().setsockopt(fd, level, name, intBytes, 4) < 0 ? lastErrno() : 0;
}

/** `option` is what the error calls it, as in `setsockopt SO_MARK`. */
export function setInt(
  fd: number,
  level: number,
  name: number,
  value: number,
  option: string,
): void {
  const errno = trySetInt(fd, level, name, value);
  if (errno !== 0) throw new SystemCallError(`setsockopt ${option}`, errno);
}

/** Undefined when the option cannot be read. */
export function getInt(fd: number, level: number, name: number): number | undefined {
  lengthBytes.writeInt32LE(4, 0);
  if (libc().getsockopt(fd, level, name, intBytes, lengthBytes) < 0) return undefined;
  return intBytes.readInt32LE(0);
}

export function setKeepAlive(fd: number, keepAlive: KeepAlive): void {
  setInt(fd, SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE");
  setInt(fd, SOL_TCP, TCP_KEEPIDLE, keepAlive.idleSeconds, "TCP_KEEPIDLE");
  setInt(fd, SOL_TCP, TCP_KEEPINTVL, keepAlive.intervalSeconds, "TCP_KEEPINTVL");
  setInt(fd, SOL_TCP, TCP_KEEPCNT, keepAlive.probes, "TCP_KEEPCNT");
  if (keepAlive.userTimeoutMs !== undefined)
    setInt(fd, SOL_TCP, TCP_USER_TIMEOUT, keepAlive.userTimeoutMs, "TCP_USER_TIMEOUT");
}

/** Lets a listening socket accept connections to foreign addresses. Returns 0, or the errno. */
export function trySetTransparentListener(fd: number): number {
  // The IPv4 option also governs a dual-stack socket: the kernel keeps one flag for both families.
  return trySetInt(fd, SOL_IP, IP_TRANSPARENT, 1);
}

/** Lets a socket of this family bind an address that is not ours, its port chosen at connect. Returns 0, or the errno. */
export function trySetForeignSource(fd: number, family: IpFamily): number {
  const level = family === 4 ? SOL_IP : SOL_IPV6;
  const transparent = family === 4 ? IP_TRANSPARENT : IPV6_TRANSPARENT;
  const freebind = family === 4 ? IP_FREEBIND : IPV6_FREEBIND;
  return (
    trySetInt(fd, level, transparent, 1) ||
    trySetInt(fd, level, freebind, 1) ||
    trySetInt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1)
  );
}

/** What conntrack remembers of a redirected connection, IPv4 first. Undefined when it knows nothing about it. */
export function originalDestinationOf(fd: number): SocketAddress | undefined {
  return (
    readAddressOption(fd, SOL_IP, SO_ORIGINAL_DST) ??
    readAddressOption(fd, SOL_IPV6, IP6T_SO_ORIGINAL_DST)
  );
}

function readAddressOption(fd: number, level: number, name: number): SocketAddress | undefined {
  lengthBytes.writeInt32LE(INET6_BYTES, 0);
  if (libc().getsockopt(fd, level, name, addressBytes, lengthBytes) < 0) return undefined;
  return decodeSocketAddress(addressBytes);
}

/** The address a bound socket really has. */
export function boundAddressOf(fd: number): SocketAddress | undefined {
  lengthBytes.writeInt32LE(INET6_BYTES, 0);
  if (libc().getsockname(fd, addressBytes, lengthBytes) < 0) return undefined;
  return decodeSocketAddress(addressBytes);
}
