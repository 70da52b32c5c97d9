/** Ethernet frames, as far as an observer of a link needs them: who sent how much to whom over TCP or UDP. Pure. */
import { type IpAddress, ipFromBytes } from "../../shared/net/ip.ts";

export interface Packet {
  readonly protocol: "tcp" | "udp";
  readonly sourceIp: IpAddress;
  readonly sourcePort: number;
  readonly destinationIp: IpAddress;
  readonly destinationPort: number;
  /** Length of the payload on the wire; more than what was captured of it. */
  readonly payloadLength: number;
  /** The captured beginning of the payload. */
  readonly payload: Buffer;
}

const ETHERNET_HEADER = 14;
const IPV6_HEADER = 40;
const UDP_HEADER = 8;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;

interface NetworkLayer {
  readonly protocol: number;
  readonly sourceIp: IpAddress;
  readonly destinationIp: IpAddress;
  /** Where the transport header begins. */
  readonly offset: number;
  /** Length of transport header and payload on the wire. */
  readonly length: number;
}

/** Source and destination stand one behind the other in both versions. */
function readAddresses(
  frame: Buffer,
  at: number,
  size: 4 | 16,
): Pick<NetworkLayer, "sourceIp" | "destinationIp"> | undefined {
  const sourceIp = ipFromBytes(frame.subarray(at, at + size));
  const destinationIp = ipFromBytes(frame.subarray(at + size, at + 2 * size));
  return sourceIp && destinationIp ? { sourceIp, destinationIp } : undefined;
}

function readIpv4(frame: Buffer): NetworkLayer | undefined {
  const headerLength = ((frame[ETHERNET_HEADER] ?? 0) & 0x0f) * 4;
  const addresses = readAddresses(frame, ETHERNET_HEADER + 12, 4);
  if (addresses === undefined) return undefined;
  return {
    ...addresses,
    protocol: frame[ETHERNET_HEADER + 9] ?? 0,
    offset: ETHERNET_HEADER + headerLength,
    length: frame.readUInt16BE(ETHERNET_HEADER + 2) - headerLength,
  };
}

function readIpv6(frame: Buffer): NetworkLayer | undefined {
  const addresses = readAddresses(frame, ETHERNET_HEADER + 8, 16);
  if (addresses === undefined) return undefined;
  return {
    ...addresses,
    protocol: frame[ETHERNET_HEADER + 6] ?? 0,
    offset: ETHERNET_HEADER + IPV6_HEADER,
    length: frame.readUInt16BE(ETHERNET_HEADER + 4),
  };
}

function readNetworkLayer(frame: Buffer): NetworkLayer | undefined {
  if (frame.length < ETHERNET_HEADER) return undefined;
  const kind = frame.readUInt16BE(12);
  if (kind === ETHERTYPE_IPV4) return readIpv4(frame);
  return kind === ETHERTYPE_IPV6 ? readIpv6(frame) : undefined;
}

/** Undefined for what is neither TCP nor UDP, or too short to tell. The payload is a copy. */
export function decodeFrame(frame: Buffer): Packet | undefined {
  const network = readNetworkLayer(frame);
  if (network === undefined) return undefined;
  const { offset, protocol } = network;
  const isTcp = protocol === PROTOCOL_TCP;
  if (!isTcp && protocol !== PROTOCOL_UDP) return undefined;
  if (frame.length < offset + (isTcp ? 20 : UDP_HEADER)) return undefined;
  const headerLength = isTcp ? ((frame[offset + 12] ?? 0) >> 4) * 4 : UDP_HEADER;
  return {
    protocol: isTcp ? "tcp" : "udp",
    sourceIp: network.sourceIp,
    sourcePort: frame.readUInt16BE(offset),
    destinationIp: network.destinationIp,
    destinationPort: frame.readUInt16BE(offset + 2),
    payloadLength: Math.max(0, network.length - headerLength),
    payload: Buffer.from(frame.subarray(offset + headerLength)),
  };
}

/** Content types of TLS records that may follow one another on a healthy connection. */
const TLS_RECORD_TYPES = new Set([20, 21, 22, 23]);

/** Whether a TCP payload could begin a TLS record: content type, then version 3.x. */
export function beginsTlsRecord(payload: Buffer): boolean {
  return TLS_RECORD_TYPES.has(payload[0] ?? 0) && payload[1] === 3 && (payload[2] ?? 9) <= 4;
}
