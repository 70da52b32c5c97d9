/** Reads resolv.conf(5): whom to ask, and which suffixes clients append. Unknown and broken lines are skipped. */
import type { SocketAddress } from "../../shared/net/authority.ts";
import { isLoopback, parseIp } from "../../shared/net/ip.ts";

/** Whom to ask about names that are not the mesh's, and the suffixes that clients append. */
export interface ResolverSettings {
  readonly nameservers: readonly SocketAddress[];
  /** Lower case, without dots at either end. */
  readonly searchDomains: readonly string[];
}

const DNS_PORT = 53;
/** What the C library reads; more would be ours alone. */
const MAX_NAMESERVERS = 3;
const MAX_SEARCH_DOMAINS = 32;

export function normalizeDomain(domain: string): string {
  return domain.toLowerCase().replace(/^\.+|\.+$/g, "");
}

/** The last `search` or `domain` line wins, as in the C library. */
export function parseResolvConf(text: string): ResolverSettings {
  const nameservers: SocketAddress[] = [];
  let searchDomains: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line
      .replace(/[#;].*$/, "")
      .trim()
      .split(/\s+/);
    if (keyword === "nameserver") {
      const ip = parseIp(values[0] ?? "");
      if (ip !== undefined && nameservers.length < MAX_NAMESERVERS)
        nameservers.push({ ip, port: DNS_PORT });
    } else if (keyword === "search" || keyword === "domain") {
      searchDomains = values.map(normalizeDomain).filter((domain) => domain !== "");
    }
  }
  return { nameservers, searchDomains: searchDomains.slice(0, MAX_SEARCH_DOMAINS) };
}

/**
 * Settings without nameservers on loopback. Seen from inside a pod's namespace such an address is either nobody, or a
 * resolver in the pod that sends its own queries back to us.
 */
export function withoutLoopback(settings: ResolverSettings): ResolverSettings {
  return {
    ...settings,
    nameservers: settings.nameservers.filter((server) => !isLoopback(server.ip)),
  };
}

export function joinSearchDomains(...lists: readonly (readonly string[])[]): readonly string[] {
  return [...new Set(lists.flat().map(normalizeDomain))].filter((domain) => domain !== "");
}
