/** Workloads that are known by name only are resolved when they are needed (wire/ztunnel.md section 4.3). */
import { Resolver } from "node:dns/promises";
import type { Clock } from "../../shared/base/clock.ts";
import { type IpAddress, type IpFamily, parseIp } from "../../shared/net/ip.ts";
import type { ResolveHostname } from "./scope.ts";

const maxEntries = 4096;
/** Bounds for the time to live that an answer carries. */
const minTtlSeconds = 1;
const maxTtlSeconds = 300;

interface Entry {
  readonly addresses: readonly IpAddress[];
  readonly expiresMs: number;
}

interface Answer {
  readonly addresses: readonly IpAddress[];
  readonly ttlSeconds: number;
}

async function query(resolver: Resolver, hostname: string, family: IpFamily): Promise<Answer> {
  const options = { ttl: true } as const;
  try {
    const records =
      family === 4
        ? await resolver.resolve4(hostname, options)
        : await resolver.resolve6(hostname, options);
    return {
      addresses: records.flatMap(({ address }) => parseIp(address) ?? []),
      ttlSeconds: Math.min(...records.map(({ ttl }) => ttl)),
    };
  } catch {
    // No such name, no such record, no server: for the connection it is all the same.
    return { addresses: [], ttlSeconds: minTtlSeconds };
  }
}

/** Asks the nameservers of the node; keeps answers as long as they say. Addresses of the preferred family come first. */
export function createHostnameResolver(clock: Clock, ipv6: boolean): ResolveHostname {
  const resolver = new Resolver({ timeout: 2000, tries: 2 });
  const cache = new Map<string, Entry>();
  const lookup = async (hostname: string): Promise<readonly IpAddress[]> => {
    const known = cache.get(hostname);
    if (known !== undefined && known.expiresMs > clock.monotonicMs()) return known.addresses;
    const answers = await Promise.all([
      query(resolver, hostname, 4),
      ...(ipv6 ? [query(resolver, hostname, 6)] : []),
    ]);
    const addresses = answers.flatMap((answer) => answer.addresses);
    const useful = answers.filter((answer) => answer.addresses.length > 0);
    const ttlSeconds = Math.min(maxTtlSeconds, ...useful.map((answer) => answer.ttlSeconds));
    cache.delete(hostname);
    for (const oldest of cache.keys()) {
      if (cache.size < maxEntries) break;
      cache.delete(oldest);
    }
    const keptSeconds = useful.length === 0 ? minTtlSeconds : Math.max(minTtlSeconds, ttlSeconds);
    cache.set(hostname, { addresses, expiresMs: clock.monotonicMs() + keptSeconds * 1000 });
    return addresses;
  };
  return async (hostname, preferred, signal) => {
    const addresses = await lookup(hostname);
    signal.throwIfAborted();
    const isPreferred = (ip: IpAddress): boolean => ip.includes(":") === (preferred === 6);
    return [
      ...addresses.filter(isPreferred),
      ...addresses.filter((address) => !isPreferred(address)),
    ];
  };
}
