/** IP addresses in one canonical text form, so that they can be map keys and be compared with ===. */
import ipaddr from "ipaddr.js";

declare const canonicalIp: unique symbol;

/** Canonical text of an IPv4 or IPv6 address; v4-mapped IPv6 is folded to IPv4 (wire/ztunnel.md section 3.6). */
export type IpAddress = string & { readonly [canonicalIp]: true };

export type IpFamily = 4 | 6;

export function familyOf(ip: IpAddress): IpFamily {
  return ip.includes(":") ? 6 : 4;
}

/** Dotted decimal without leading zeros is canonical already. */
const CANONICAL_FOUR = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
/** How the address of an IPv4 peer reads on a socket of both families. */
const MAPPED = "::ffff:";

/** Parses strict textual notation; undefined when it is not an address. Zones (`%eth0`) are refused. */
export function parseIp(text: string): IpAddress | undefined {
  // Every connection comes through here: the usual forms do without the library, which says no by throwing inside.
  if (CANONICAL_FOUR.test(text)) return text as IpAddress;
  if (!text.includes(":") || text.includes("%")) return undefined;
  if (text.startsWith(MAPPED)) {
    const four = text.slice(MAPPED.length);
    if (CANONICAL_FOUR.test(four)) return four as IpAddress;
  }
  if (!ipaddr.IPv6.isValid(text)) return undefined;
  const six = ipaddr.IPv6.parse(text);
  return (six.isIPv4MappedAddress() ? six.toIPv4Address() : six).toString() as IpAddress;
}

/** Parses an address that the program itself wrote. Throws RangeError otherwise. */
export function ipOf(text: string): IpAddress {
  const ip = parseIp(text);
  if (ip === undefined) throw new RangeError(`not an IP address: ${JSON.stringify(text)}`);
  return ip;
}

/** Reads 4 or 16 bytes in network order; undefined for any other length. */
export function ipFromBytes(bytes: Uint8Array): IpAddress | undefined {
  if (bytes.length === 4) return fourFromBytes(bytes, 0);
  if (bytes.length !== 16) return undefined;
  const six = new ipaddr.IPv6([...bytes]);
  return (six.isIPv4MappedAddress() ? six.toIPv4Address() : six).toString() as IpAddress;
}

/** Reads the 4 bytes that begin at `start`. */
export function fourFromBytes(bytes: Uint8Array, start: number): IpAddress {
  return `${bytes[start]}.${bytes[start + 1]}.${bytes[start + 2]}.${bytes[start + 3]}` as IpAddress;
}

/** 4 or 16 bytes in network order. */
export function ipToBytes(ip: IpAddress): Uint8Array {
  if (familyOf(ip) === 4) return fourBytes(ip);
  return Uint8Array.from(ipaddr.parse(ip).toByteArray());
}

/** The octets of canonical dotted decimal. */
function fourBytes(ip: IpAddress): Uint8Array {
  const bytes = new Uint8Array(4);
  let at = 0;
  for (let position = 0; position < ip.length; position++) {
    const digit = ip.charCodeAt(position) - 0x30;
    if (digit < 0) at++;
    else bytes[at] = (bytes[at] ?? 0) * 10 + digit;
  }
  return bytes;
}

/** Loopback: 127.0.0.0/8 or ::1. */
export function isLoopback(ip: IpAddress): boolean {
  return ip.startsWith("127.") || ip === "::1";
}
