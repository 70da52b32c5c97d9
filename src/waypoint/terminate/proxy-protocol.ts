/** PROXY protocol version 2 as a ztunnel writes it before a connection that it hands us (wire/waypoint.md section 8.4). */
import { parseSpiffe } from "../../shared/identity/spiffe.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";
import { ipFromBytes } from "../../shared/net/ip.ts";

export type ProxyHead =
  | { readonly kind: "more" }
  | { readonly kind: "bad"; readonly reason: string }
  | {
      readonly kind: "head";
      readonly length: number;
      readonly source: SocketAddress;
      readonly destination: SocketAddress;
      /** SPIFFE URI of the client, as ztunnel has verified it. */
      readonly identity: string | undefined;
    };

const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const fixedBytes = 16;
const proxyCommand = 0x21;
const identityTlv = 0xd0;
/** Addresses and one identity are far below. */
const maxBodyBytes = 4096;
/** TCP over IPv4 and IPv6. */
const addressBytes: Readonly<Record<number, number>> = { 17: 4, 33: 16 };

const bad = (reason: string): ProxyHead => ({ kind: "bad", reason });

export function readProxyHead(bytes: Buffer): ProxyHead {
  const seen = Math.min(bytes.length, signature.length);
  if (bytes.compare(signature, 0, seen, 0, seen) !== 0) return bad("no PROXY protocol, version 2");
  if (bytes.length < fixedBytes) return { kind: "more" };
  if (bytes.readUInt8(12) !== proxyCommand) return bad("not a connection on behalf of a client");
  const bodyBytes = bytes.readUInt16BE(14);
  if (bodyBytes > maxBodyBytes) return bad(`${bodyBytes} octets of addresses`);
  if (bytes.length < fixedBytes + bodyBytes) return { kind: "more" };
  return readBody(bytes.subarray(fixedBytes, fixedBytes + bodyBytes), bytes.readUInt8(13));
}

function readBody(body: Buffer, family: number): ProxyHead {
  const size = addressBytes[family];
  if (size === undefined) return bad("the addresses are not of TCP over IPv4 or IPv6");
  const tlvs = 2 * size + 4;
  if (body.length < tlvs) return bad("the addresses are cut short");
  const from = ipFromBytes(body.subarray(0, size));
  const to = ipFromBytes(body.subarray(size, 2 * size));
  if (from === undefined || to === undefined) return bad("an address cannot be read");
  const identity = identityIn(body.subarray(tlvs));
  if (identity.kind === "bad") return identity;
  return {
    kind: "head",
    length: fixedBytes + body.length,
    source: { ip: from, port: body.readUInt16BE(2 * size) },
    destination: { ip: to, port: body.readUInt16BE(2 * size + 2) },
    identity: identity.value,
  };
}

/** The one TLV that counts; others are read past (PROXY protocol, section 2.2). */
function identityIn(
  tlvs: Buffer,
):
  | { readonly kind: "bad"; readonly reason: string }
  | { readonly kind: "known"; readonly value: string | undefined } {
  let value: string | undefined;
  for (let at = 0; at < tlvs.length; ) {
    if (tlvs.length < at + 3) return { kind: "bad", reason: "a field is cut short" };
    const end = at + 3 + tlvs.readUInt16BE(at + 1);
    if (tlvs.length < end) return { kind: "bad", reason: "a field is cut short" };
    if (tlvs[at] === identityTlv) {
      if (value !== undefined) return { kind: "bad", reason: "two identities" };
      value = tlvs.toString("utf8", at + 3, end);
      if (parseSpiffe(value) === undefined)
        return { kind: "bad", reason: "the identity is not a SPIFFE one" };
    }
    at = end;
  }
  return { kind: "known", value };
}
