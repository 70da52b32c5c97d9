/** `struct sockaddr` of both families and of unix sockets, as bytes. Linux lays them out alike on all little-endian machines. */
import type { SocketAddress } from "../net/authority.ts";
import { familyOf, fourFromBytes, type IpAddress, ipFromBytes, ipToBytes } from "../net/ip.ts";
import { AF_INET, AF_INET6, AF_UNIX } from "./constants.ts";

/** sizeof(struct sockaddr_in), sizeof(struct sockaddr_in6). */
const INET_BYTES = 16;
export const INET6_BYTES = 28;
/** sizeof(sockaddr_un.sun_path) without the terminating zero. */
const UNIX_PATH_MAX_BYTES = 107;

export function domainOf(ip: IpAddress): number {
  return familyOf(ip) === 4 ? AF_INET : AF_INET6;
}

export function encodeSocketAddress(ip: IpAddress, port: number): Uint8Array {
  const six = familyOf(ip) === 6;
  const bytes = Buffer.alloc(six ? INET6_BYTES : INET_BYTES);
  bytes.writeUInt16LE(six ? AF_INET6 : AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(ipToBytes(ip), six ? 8 : 4);
  return bytes;
}

/** Undefined for any family but the two of IP. v4-mapped addresses are folded. */
export function decodeSocketAddress(bytes: Buffer): SocketAddress | undefined {
  const family = bytes.readUInt16LE(0);
  const port = bytes.readUInt16BE(2);
  const ip =
    family === AF_INET
      ? fourFromBytes(bytes, 4)
      : family === AF_INET6
        ? ipFromBytes(bytes.subarray(8, 24))
        : undefined;
  return ip === undefined ? undefined : { ip, port };
}

/** Throws RangeError when the path does not fit into the structure. */
export function encodeUnixAddress(path: string): Uint8Array {
  const text = Buffer.from(path);
  if (text.length === 0 || text.length > UNIX_PATH_MAX_BYTES || text.includes(0))
    throw new RangeError(
      `socket path must have 1 to ${UNIX_PATH_MAX_BYTES} bytes: ${JSON.stringify(path)}`,
    );
  const bytes = Buffer.alloc(2 + text.length + 1);
  bytes.writeUInt16LE(AF_UNIX, 0);
  bytes.set(text, 2);
  return bytes;
}
