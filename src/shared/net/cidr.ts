/** Address prefixes, prepared once so that a membership test costs no parsing of the prefix. */
import { familyOf, type IpAddress, ipToBytes, parseIp } from "./ip.ts";

export interface Cidr {
  readonly ip: IpAddress;
  /** 0 to 32 for IPv4, 0 to 128 for IPv6. */
  readonly prefixLength: number;
  /** Network bytes, for the comparison. */
  readonly bytes: Uint8Array;
}

/** Undefined when the length does not fit the family. */
export function cidrOf(ip: IpAddress, prefixLength: number): Cidr | undefined {
  const limit = familyOf(ip) === 4 ? 32 : 128;
  if (!Number.isInteger(prefixLength) || prefixLength < 0 || prefixLength > limit) return undefined;
  return { ip, prefixLength, bytes: ipToBytes(ip) };
}

/** Parses `10.0.0.0/8`, or a bare address as a prefix of full length. Undefined when it is neither. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf("/");
  const ip = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (ip === undefined) return undefined;
  if (slash < 0) return cidrOf(ip, familyOf(ip) === 4 ? 32 : 128);
  const length = text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(length)) return undefined;
  const folded = familyOf(ip) === 4 && text.includes(":") ? Number(length) - 96 : Number(length);
  return cidrOf(ip, folded);
}

/** Whether `address` (as bytes, see ipToBytes) lies in the prefix. Families never match each other. */
export function cidrContainsBytes(cidr: Cidr, address: Uint8Array): boolean {
  if (address.length !== cidr.bytes.length) return false;
  const whole = cidr.prefixLength >> 3;
  for (let i = 0; i < whole; i++) {
    if (address[i] !== cidr.bytes[i]) return false;
  }
  const rest = cidr.prefixLength & 7;
  if (rest === 0) return true;
  const mask = (0xff << (8 - rest)) & 0xff;
  return ((address[whole] ?? 0) & mask) === ((cidr.bytes[whole] ?? 0) & mask);
}

export function cidrContains(cidr: Cidr, ip: IpAddress): boolean {
  return cidrContainsBytes(cidr, ipToBytes(ip));
}

export function cidrText(cidr: Cidr): string {
  return `${cidr.ip}/${cidr.prefixLength}`;
}
