/** Route tables and their indexes: built once when a chain is compiled, read for each request. */
import type { HostIndex, Route, RouteTable, SegmentIndex, VirtualHost } from "../model/route.ts";

/** Below this, looking at one route after the other is faster than an index. */
const MIN_INDEXED_ROUTES = 24;

export function virtualHost(
  name: string,
  domains: readonly string[],
  routes: readonly Route[],
): VirtualHost {
  const lower = domains.map((domain) => domain.toLowerCase());
  const segments = routes.length < MIN_INDEXED_ROUTES ? undefined : segmentIndex(routes);
  return { name, domains: lower, routes, segments };
}

/** Throws when two virtual hosts claim a domain, as Envoy refuses it. */
export function routeTable(
  name: string,
  virtualHosts: readonly VirtualHost[],
  options: {
    readonly maxDirectResponseBodyBytes?: number;
    readonly ignorePort?: boolean;
  } = {},
): RouteTable {
  return {
    name,
    virtualHosts,
    maxDirectResponseBodyBytes: options.maxDirectResponseBodyBytes ?? 4096,
    hosts: hostIndex(virtualHosts, options.ignorePort ?? false),
  };
}

export class DuplicateDomain extends Error {
  readonly domain: string;

  constructor(domain: string) {
    super(`only one virtual host may have the domain ${domain}`);
    this.name = "DuplicateDomain";
    this.domain = domain;
  }
}

function hostIndex(virtualHosts: readonly VirtualHost[], ignorePort: boolean): HostIndex {
  const all = new Map<string, VirtualHost>();
  for (const host of virtualHosts)
    for (const domain of host.domains) {
      if (all.has(domain)) throw new DuplicateDomain(domain);
      all.set(domain, host);
    }
  const exact = new Map<string, VirtualHost>();
  const suffixes: [string, VirtualHost][] = [];
  const prefixes: [string, VirtualHost][] = [];
  for (const [domain, host] of all) {
    if (domain === "*") continue;
    if (domain.startsWith("*")) suffixes.push([domain.slice(1), host]);
    else if (domain.endsWith("*")) prefixes.push([domain.slice(0, -1), host]);
    else exact.set(domain, host);
  }
  suffixes.sort(longestFirst);
  prefixes.sort(longestFirst);
  return { exact, suffixes, prefixes, any: all.get("*"), ignorePort };
}

function longestFirst([one]: readonly [string, unknown], [other]: readonly [string, unknown]) {
  return other.length - one.length;
}

function segmentIndex(routes: readonly Route[]): SegmentIndex {
  const bySegment = new Map<string, number[]>();
  const others: number[] = [];
  for (const [position, route] of routes.entries()) {
    const segment = onlySegment(route);
    if (segment === undefined) {
      others.push(position);
      continue;
    }
    const known = bySegment.get(segment);
    if (known === undefined) bySegment.set(segment, [position]);
    else known.push(position);
  }
  return { bySegment, others };
}

/** The first segment that every path matched by this route has; undefined: cannot be said. */
function onlySegment({ path }: Route): string | undefined {
  if (path.kind !== "exact" && path.kind !== "prefix" && path.kind !== "separated-prefix")
    return undefined;
  if (!path.caseSensitive || !path.value.startsWith("/")) return undefined;
  const end = path.value.indexOf("/", 1);
  if (end !== -1) return path.value.slice(1, end);
  // `/foo` as a plain prefix matches /foobar as well.
  return path.kind === "prefix" ? undefined : path.value.slice(1);
}

/** The first segment of a request's path. */
export function firstSegment(path: string): string {
  const end = path.indexOf("/", 1);
  return end === -1 ? path.slice(1) : path.slice(1, end);
}
