/**
 * PROXY protocol version 2, as written to applications that take it (wire/ztunnel.md section 5.4): command PROXY, stream,
 * and one TLV with the verified identity of the client.
 */
import { familyOf, ipToBytes } from "../../shared/net/ip.ts";
import type { ProxyHeader } from "./route-inbound-types.ts";

const signature = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10);
const versionAndCommand = 0x21;
const identityTlv = 0xd0;

/** Address family and protocol byte; mixed families cannot be expressed, so they are left unspecified. */
function familyByte(source: 4 | 6, destination: 4 | 6): number {
  if (source !== destination) return 0x01;
  return source === 4 ? 0x11 : 0x21;
}

export function encodeProxyHeader(header: ProxyHeader): Buffer {
  const { source, destination, identity } = header;
  const family = familyByte(familyOf(source.ip), familyOf(destination.ip));
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(source.port, 0);
  ports.writeUInt16BE(destination.port, 2);
  const addresses =
    family === 0x01
      ? Buffer.alloc(0)
      : Buffer.concat([ipToBytes(source.ip), ipToBytes(destination.ip), ports]);
  const name = Buffer.from(identity, "utf8");
  const tlv = Buffer.alloc(3);
  tlv.writeUInt8(identityTlv, 0);
  tlv.writeUInt16BE(name.length, 1);
  const head = Buffer.alloc(4);
  head.writeUInt8(versionAndCommand, 0);
  head.writeUInt8(family, 1);
  head.writeUInt16BE(addresses.length + tlv.length + name.length, 2);
  return Buffer.concat([signature, head, addresses, tlv, name]);
}
