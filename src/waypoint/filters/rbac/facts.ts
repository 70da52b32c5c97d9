/** What a policy may ask about: a request's context or a connection's fits. */
import { parseIp } from "../../../shared/net/ip.ts";
import type { RequestHead } from "../../http/message.ts";
import type { DownstreamInfo } from "../../http/stream.ts";
import type { MetadataValue } from "../filter.ts";

export interface Facts {
  readonly downstream: DownstreamInfo;
  readonly metadata: ReadonlyMap<string, { readonly [key: string]: MetadataValue }>;
  /** Absent for connections. */
  readonly head?: RequestHead;
}

/**
 * The client as a proxy before us told it: the last element of X-Forwarded-For if that is an address
 * (use_remote_address is off and no hops are trusted), else where the connection comes from.
 */
export function remoteAddress(facts: Facts): string {
  const forwarded = facts.head?.fields.joined("x-forwarded-for");
  if (forwarded !== undefined) {
    const last = forwarded.slice(forwarded.lastIndexOf(",") + 1).trim();
    if (parseIp(last) !== undefined) return last;
  }
  return facts.downstream.source.ip;
}

/** Without query and fragment. */
export function pathOf(path: string): string {
  for (let at = 0; at < path.length; at++) {
    const code = path.charCodeAt(at);
    if (code === 0x3f || code === 0x23) return path.slice(0, at);
  }
  return path;
}
