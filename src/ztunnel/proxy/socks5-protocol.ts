/**
 * The server's side of the SOCKS5 handshake (RFC 1928), for a proxy that needs no login and only connects. Pure: bytes in,
 * one closed outcome, however the bytes were cut into pieces. Whatever follows the request belongs to the connection.
 */
import type { SocketAddress } from "../../shared/net/authority.ts";
import { ipFromBytes, parseIp } from "../../shared/net/ip.ts";

export const socksReply = {
  succeeded: 0,
  generalFailure: 1,
  notAllowed: 2,
  networkUnreachable: 3,
  hostUnreachable: 4,
  connectionRefused: 5,
  commandNotSupported: 7,
  addressTypeNotSupported: 8,
} as const;

export type SocksReplyCode = (typeof socksReply)[keyof typeof socksReply];

/** Where the client wants to go. */
export type SocksTarget =
  | { readonly kind: "address"; readonly address: SocketAddress }
  | { readonly kind: "name"; readonly name: string; readonly port: number };

export type SocksMessage<T> =
  | { readonly kind: "more" }
  | { readonly kind: "read"; readonly value: T; readonly length: number }
  /** `answer` goes to the client before the end; it is empty for a client that does not speak SOCKS5. */
  | { readonly kind: "refused"; readonly reason: string; readonly answer: Uint8Array };

const VERSION = 5;
const NO_LOGIN = 0;
const NO_METHOD = 0xff;
const CONNECT = 1;
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;

/** No message is longer: a name of 255 octets with what stands around it. */
export const MAX_SOCKS_MESSAGE = 4 + 1 + 255 + 2;

/** What the server says to an acceptable greeting. */
export const methodAnswer = Uint8Array.of(VERSION, NO_LOGIN);

/** The bound address is not told, as in the reference: 0.0.0.0:0. */
export function replyBytes(code: SocksReplyCode): Uint8Array {
  return Uint8Array.of(VERSION, code, 0, IPV4, 0, 0, 0, 0, 0, 0);
}

function notSocks<T>(version: number): SocksMessage<T> {
  const reason = `socks5: version ${version} is not spoken here`;
  return { kind: "refused", reason, answer: new Uint8Array(0) };
}

function refuse<T>(code: SocksReplyCode, reason: string): SocksMessage<T> {
  return { kind: "refused", reason: `socks5: ${reason}`, answer: replyBytes(code) };
}

/** The methods that a client offers; only the one without a login is taken. */
export function readGreeting(bytes: Uint8Array): SocksMessage<"no-login"> {
  const [version, count] = bytes;
  if (version === undefined) return { kind: "more" };
  if (version !== VERSION) return notSocks(version);
  if (count === undefined || bytes.length < 2 + count) return { kind: "more" };
  if (bytes.subarray(2, 2 + count).includes(NO_LOGIN))
    return { kind: "read", value: "no-login", length: 2 + count };
  return {
    kind: "refused",
    reason: "socks5: the client demands a login",
    answer: Uint8Array.of(VERSION, NO_METHOD),
  };
}

export function readRequest(bytes: Uint8Array): SocksMessage<SocksTarget> {
  const [version, command, , type, first] = bytes;
  if (version === undefined) return { kind: "more" };
  if (version !== VERSION) return notSocks(version);
  if (type === undefined) return { kind: "more" };
  if (command !== CONNECT)
    return refuse(socksReply.commandNotSupported, `command ${command} is not supported`);
  switch (type) {
    case IPV4:
      return readAddress(bytes, 4, 4);
    case IPV6:
      return readAddress(bytes, 4, 16);
    case NAME:
      return first === undefined ? { kind: "more" } : readName(bytes, 5, first);
    default:
      return refuse(socksReply.addressTypeNotSupported, `address type ${type} is not supported`);
  }
}

function portAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function readAddress(bytes: Uint8Array, at: number, size: 4 | 16): SocksMessage<SocksTarget> {
  const length = at + size + 2;
  if (bytes.length < length) return { kind: "more" };
  const ip = ipFromBytes(bytes.subarray(at, at + size));
  if (ip === undefined) return refuse(socksReply.generalFailure, "no address");
  const address = { ip, port: portAt(bytes, at + size) };
  return { kind: "read", value: { kind: "address", address }, length };
}

/** What can stand in a DNS name and in a log line. */
const PRINTABLE = /^[!-~]+$/;

function readName(bytes: Uint8Array, at: number, size: number): SocksMessage<SocksTarget> {
  const length = at + size + 2;
  if (bytes.length < length) return { kind: "more" };
  const name = String.fromCharCode(...bytes.subarray(at, at + size));
  const port = portAt(bytes, at + size);
  const ip = parseIp(name);
  if (ip !== undefined)
    return { kind: "read", value: { kind: "address", address: { ip, port } }, length };
  if (!PRINTABLE.test(name)) return refuse(socksReply.generalFailure, "the name is no name");
  return { kind: "read", value: { kind: "name", name, port }, length };
}
