/** PROXY protocol as a client writes it, versions 1 and 2 (haproxy's proxy-protocol.txt). */
import type { SocketAddress } from "../../../shared/net/authority.ts";
import { familyOf, ipToBytes } from "../../../shared/net/ip.ts";

export interface Proxied {
  readonly source: SocketAddress;
  readonly destination: SocketAddress;
}

const signature = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
/** Version 2, and the two commands. */
const local = 0x20;
const proxy = 0x21;
/** TCP over IPv4 and over IPv6. */
const tcp4 = 0x11;
const tcp6 = 0x21;

/** `proxied` is missing where there is no client: checks and calls of our own. */
export function proxyHeader(version: "v1" | "v2", proxied: Proxied | undefined): Buffer {
  return version === "v1" ? headerV1(proxied) : headerV2(proxied);
}

/** Families must be the same to be expressed. */
function familyFor({ source, destination }: Proxied): 4 | 6 | undefined {
  const family = familyOf(source.ip);
  return family === familyOf(destination.ip) ? family : undefined;
}

function headerV1(proxied: Proxied | undefined): Buffer {
  const family = proxied && familyFor(proxied);
  if (proxied === undefined || family === undefined)
    return Buffer.from("PROXY UNKNOWN\r\n", "latin1");
  const { source, destination } = proxied;
  return Buffer.from(
    `PROXY TCP${family} ${source.ip} ${destination.ip} ${source.port} ${destination.port}\r\n`,
    "latin1",
  );
}

function headerV2(proxied: Proxied | undefined): Buffer {
  const family = proxied && familyFor(proxied);
  if (proxied === undefined || family === undefined)
    return Buffer.concat([signature, Buffer.of(local, 0, 0, 0)]);
  const { source, destination } = proxied;
  const addresses = Buffer.concat([
    ipToBytes(source.ip),
    ipToBytes(destination.ip),
    Buffer.alloc(4),
  ]);
  addresses.writeUInt16BE(source.port, addresses.length - 4);
  addresses.writeUInt16BE(destination.port, addresses.length - 2);
  const head = Buffer.of(proxy, family === 4 ? tcp4 : tcp6, 0, 0);
  head.writeUInt16BE(addresses.length, 2);
  return Buffer.concat([signature, head, addresses]);
}
