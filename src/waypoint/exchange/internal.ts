/**
 * Whether a request comes from inside: only then may it instruct the proxy. Envoy's rules (mutateRequestHeaders,
 * XffIPDetection), which its 1.40 applies only where the configuration has an internal_address_config.
 */
import { type Cidr, cidrContainsBytes, parseCidr } from "../../shared/net/cidr.ts";
import { ipToBytes, parseIp } from "../../shared/net/ip.ts";
import type { RequestHead } from "../http/message.ts";
import type { DownstreamInfo } from "../http/stream.ts";
import type { HttpSettings } from "../model/chain.ts";

/** What Envoy takes where the configuration names no ranges: RFC 1918, RFC 4193 with the L bit, and loopback. */
export const privateRanges: readonly Cidr[] = [
  "10.0.0.0/8",
  "192.168.0.0/16",
  "172.16.0.0/12",
  "127.0.0.0/8",
  "fd00::/8",
  "::1/128",
].flatMap((text) => parseCidr(text) ?? []);

/**
 * Where the remote address counts, a request that a proxy has forwarded is never internal. Where it does not, only one is:
 * through exactly one proxy, for a client inside.
 */
export function isInternal(
  head: RequestHead,
  settings: Pick<HttpSettings, "internalRanges" | "useRemoteAddress">,
  downstream: DownstreamInfo,
): boolean {
  const { internalRanges, useRemoteAddress } = settings;
  if (internalRanges.length === 0) return false;
  const forwarded = head.fields.joined("x-forwarded-for");
  if (useRemoteAddress)
    return forwarded === undefined && contains(internalRanges, downstream.source.ip);
  return forwarded !== undefined && contains(internalRanges, forwarded.trim());
}

/** A list of several addresses is none of them. */
function contains(ranges: readonly Cidr[], text: string): boolean {
  const ip = parseIp(text);
  if (ip === undefined) return false;
  const bytes = ipToBytes(ip);
  return ranges.some((range) => cidrContainsBytes(range, bytes));
}
