/** What the packets on the link say. */
import { beginsTlsRecord, type Packet } from "../../world/packets.ts";
import { CLEAR_TEXT_MARK } from "../apps/protocol.ts";

const HBONE_PORT = 15008;
const MARK = Buffer.from(CLEAR_TEXT_MARK, "latin1");

export interface WireReport {
  /** TCP packets with payload between pods of the two nodes. */
  readonly packets: number;
  readonly bytes: number;
  /** Those in which the applications' text can be read. */
  readonly readable: readonly Packet[];
  /** Those to or from a port other than the tunnel's. */
  readonly outsideTunnel: readonly Packet[];
  /** TLS records seen at the beginning of tunnel packets. */
  readonly tlsRecords: number;
}

function isPodAddress(ip: string): boolean {
  return ip.startsWith("10.10.") || ip.startsWith("fd10:");
}

/** Traffic between pods; the control plane's own connections are left out. */
export function reportWire(
  packets: readonly Packet[],
  concerns: (packet: Packet) => boolean = () => true,
): WireReport {
  const between = packets.filter(
    (packet) =>
      packet.protocol === "tcp" &&
      isPodAddress(packet.sourceIp) &&
      isPodAddress(packet.destinationIp) &&
      concerns(packet),
  );
  const isTunnel = ({ sourcePort, destinationPort }: Packet): boolean =>
    sourcePort === HBONE_PORT || destinationPort === HBONE_PORT;
  return {
    packets: between.length,
    bytes: between.reduce((sum, { payloadLength }) => sum + payloadLength, 0),
    readable: between.filter(({ payload }) => payload.includes(MARK)),
    outsideTunnel: between.filter((packet) => !isTunnel(packet)),
    tlsRecords: between.filter((packet) => isTunnel(packet) && beginsTlsRecord(packet.payload))
      .length,
  };
}

/** `10.10.1.10:40000 -> 10.10.2.10:8080` */
export function describePacket(packet: Packet): string {
  return `${packet.sourceIp}:${packet.sourcePort} -> ${packet.destinationIp}:${packet.destinationPort}`;
}
