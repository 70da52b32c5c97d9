/** Addresses of a matcher: service addresses are single ones in practice, found by one look-up; wider ranges come after, narrowest first. */
import ipaddr from "ipaddr.js";
import type { CidrRange } from "../../shared/wire/gen/xds/core/v3/cidr_pb.js";
import type { MatchNode } from "./match-node.ts";
import { at, CompileError, type Path } from "./notes.ts";

export interface AddressLevel {
  /** By canonical text. */
  readonly single: Map<string, RangeNode>;
  /** Narrowest first; those of the same width in the order of the configuration. */
  readonly ranges: WideRange[];
}

export interface RangeNode {
  readonly node: MatchNode;
  /** Nothing wider is looked at when the node matches nothing. */
  readonly exclusive: boolean;
}

interface WideRange extends RangeNode {
  readonly address: ipaddr.IPv4 | ipaddr.IPv6;
  readonly length: number;
}

export function newAddressLevel(): AddressLevel {
  return { single: new Map(), ranges: [] };
}

/** The first of two equal addresses wins, as in the order of a list. */
export function addRange(
  { single, ranges }: AddressLevel,
  { addressPrefix, prefixLen }: CidrRange,
  exclusive: boolean,
  node: MatchNode,
  path: Path,
): void {
  const address = parsed(addressPrefix, at(path, "address_prefix"));
  const full = address.kind() === "ipv4" ? 32 : 128;
  const length = prefixLen ?? 0;
  if (length > full)
    throw new CompileError(at(path, "prefix_len"), `${length} is longer than the address`);
  if (length === full) {
    const text = address.toString();
    if (!single.has(text)) single.set(text, { node, exclusive });
    return;
  }
  const position = ranges.findIndex((one) => one.length < length);
  ranges.splice(position === -1 ? ranges.length : position, 0, {
    address,
    length,
    node,
    exclusive,
  });
}

function parsed(text: string, path: Path): ipaddr.IPv4 | ipaddr.IPv6 {
  if (!ipaddr.isValid(text)) throw new CompileError(path, `"${text}" is no IP address`);
  return ipaddr.process(text);
}

/** Whether a wide range has the address; only reached when no single one does. */
export function inRange({ address, length }: WideRange, ip: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  return ip.kind() === address.kind() && ip.match(address, length);
}

export function parseAddress(ip: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  return ipaddr.isValid(ip) ? ipaddr.process(ip) : undefined;
}
