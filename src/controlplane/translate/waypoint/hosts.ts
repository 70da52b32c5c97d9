/** Host names as rules write them: short, whole, or with a wildcard in front. */

export function isWildcard(host: string): boolean {
  return host.startsWith("*");
}

/** A short name means the service of that name in the writer's namespace. */
export function resolveHost(host: string, namespace: string, clusterDomain: string): string {
  if (host.includes(".") || host === "*" || host === "" || isWildcard(host)) return host;
  return `${host}.${namespace}.svc.${clusterDomain}`;
}

/** Whether two hosts, each possibly a wildcard, have a name in common. */
export function hostsMatch(a: string, b: string): boolean {
  if (isWildcard(a) && isWildcard(b)) {
    const [x, y] = [a.slice(1), b.slice(1)];
    return x.endsWith(y) || y.endsWith(x);
  }
  if (isWildcard(a)) return b.endsWith(a.slice(1));
  if (isWildcard(b)) return a.endsWith(b.slice(1));
  return a === b;
}

/** The entry for exactly this name, else for the longest wildcard that covers it. */
export function mostSpecificMatch<T>(
  hostname: string,
  entries: ReadonlyMap<string, T>,
): T | undefined {
  const exact = entries.get(hostname);
  if (exact !== undefined) return exact;
  let best: string | undefined;
  for (const host of entries.keys()) {
    if (!isWildcard(host) || !covers(host, hostname)) continue;
    if (best === undefined || host.length > best.length) best = host;
  }
  return best === undefined ? undefined : entries.get(best);
}

/** Whether every name of `hostname` is one of the wildcard's. */
function covers(wildcard: string, hostname: string): boolean {
  const name = isWildcard(hostname) ? hostname.slice(1) : hostname;
  return name.endsWith(wildcard.slice(1));
}
