/** Names → addresses: a seam, and the machine's own resolver behind it. */
import { lookup, Resolver as NodeResolver } from "node:dns/promises";
import { isIP } from "node:net";
import { type IpAddress, parseIp } from "../../../shared/net/ip.ts";
import type { DnsFamily } from "../../model/cluster.ts";

export interface Resolved {
  readonly ip: IpAddress;
  /** Undefined: not known (a hosts file, a search domain). */
  readonly ttlMs: number | undefined;
}

/** Rejects when the name has no address of the family; resolves to at least one. */
export type Resolve = (host: string, family: DnsFamily) => Promise<readonly Resolved[]>;

type Version = 4 | 6;

/** The system's: queries of our own for their times to live, else its usual way with hosts file and search domains. */
export function systemResolve(resolver: NodeResolver = new NodeResolver()): Resolve {
  const query = async (host: string, version: Version): Promise<readonly Resolved[]> => {
    const answers = await (version === 4
      ? resolver.resolve4(host, { ttl: true })
      : resolver.resolve6(host, { ttl: true }));
    return answers.flatMap(({ address, ttl }) => {
      const ip = parseIp(address);
      return ip === undefined ? [] : [{ ip, ttlMs: ttl * 1000 }];
    });
  };
  const ask = async (host: string, version: Version): Promise<readonly Resolved[]> => {
    // A name without a dot is for hosts files and search domains.
    if (host.includes(".")) {
      const found = await query(host, version).catch(() => []);
      if (found.length > 0) return found;
    }
    const found = await lookup(host, { family: version, all: true });
    return found.flatMap(({ address }) => {
      const ip = parseIp(address);
      return ip === undefined ? [] : [{ ip, ttlMs: undefined }];
    });
  };
  return (host, family) => resolveFamily(host, family, ask);
}

type Ask = (host: string, version: Version) => Promise<readonly Resolved[]>;

/** What each lookup family of the reference means. */
export async function resolveFamily(
  host: string,
  family: DnsFamily,
  ask: Ask,
): Promise<readonly Resolved[]> {
  if (isIP(host) !== 0) {
    const ip = parseIp(host);
    if (ip !== undefined) return [{ ip, ttlMs: undefined }];
  }
  switch (family) {
    case "v4-only":
      return ask(host, 4);
    case "v6-only":
      return ask(host, 6);
    case "v4-preferred":
      return firstOf(host, [4, 6], ask);
    case "auto":
      return firstOf(host, [6, 4], ask);
    case "all":
      return bothOf(host, ask);
  }
}

async function firstOf(
  host: string,
  [first, second]: readonly [Version, Version],
  ask: Ask,
): Promise<readonly Resolved[]> {
  const found = await ask(host, first).catch(() => []);
  return found.length > 0 ? found : ask(host, second);
}

async function bothOf(host: string, ask: Ask): Promise<readonly Resolved[]> {
  const [six, four] = await Promise.allSettled([ask(host, 6), ask(host, 4)]);
  const found = [six, four].flatMap((each) => (each.status === "fulfilled" ? each.value : []));
  if (found.length === 0 && four.status === "rejected") throw four.reason;
  return found;
}
