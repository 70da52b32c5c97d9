/** `host:port` in both families, as it stands in `:authority` and in log lines. */
import { familyOf, type IpAddress, parseIp } from "./ip.ts";

export interface SocketAddress {
  readonly ip: IpAddress;
  /** 0 to 65535. */
  readonly port: number;
}

/** What `:authority` of a CONNECT can name (RFC 9113 section 8.5). */
export type Authority =
  | { readonly kind: "address"; readonly address: SocketAddress }
  | { readonly kind: "host"; readonly host: string; readonly port: number };

/** IPv6 in brackets. */
export function formatSocketAddress(address: SocketAddress): string {
  return familyOf(address.ip) === 6
    ? `[${address.ip}]:${address.port}`
    : `${address.ip}:${address.port}`;
}

/** RFC 1123 labels, an underscore allowed; at most 253 characters. */
const HOSTNAME =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/i;

/** Strict: a port is demanded, IPv6 needs its brackets, user info and paths are refused. Undefined when malformed. */
export function parseAuthority(text: string): Authority | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^[\]:@/?#\s]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const [, six, other, digits] = match;
  const port = Number(digits);
  if (port > 65535) return undefined;
  const ip = parseIp(six ?? other ?? "");
  if (six !== undefined && (ip === undefined || !six.includes(":"))) return undefined;
  if (ip !== undefined) return { kind: "address", address: { ip, port } };
  if (other === undefined || !HOSTNAME.test(other)) return undefined;
  return { kind: "host", host: other.toLowerCase(), port };
}
