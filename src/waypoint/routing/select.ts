/** Which route takes a request: the virtual host by its authority, then the first route that matches. Pure. */
import type { RequestHead } from "../http/message.ts";
import type { Fraction, HeaderMatcher, MetadataMatcher, QueryMatcher } from "../model/matchers.ts";
import type {
  HostIndex,
  PathMatcher,
  Route,
  RouteMatch,
  RouteTable,
  VirtualHost,
} from "../model/route.ts";
import {
  inFraction,
  type Metadata,
  matchesHeader,
  matchesMetadata,
  matchesString,
} from "./match.ts";
import { firstSegment } from "./table.ts";

/** What else a route may be chosen by; a RequestContext has it. */
export interface SelectFacts {
  /** [0, 1) */
  readonly random: () => number;
  readonly metadata: Metadata;
}

/** Undefined: Envoy answers 404 with flag NR. */
export function selectRoute(
  table: RouteTable,
  head: RequestHead,
  facts: SelectFacts,
): Route | undefined {
  const host = selectHost(table.hosts, head.authority);
  return host === undefined ? undefined : selectIn(host, head, facts);
}

export function selectHost(hosts: HostIndex, authority: string): VirtualHost | undefined {
  if (hosts.exact.size === 0 && hosts.suffixes.length === 0 && hosts.prefixes.length === 0)
    return hosts.any;
  const lower = authority.toLowerCase();
  const name = hosts.ignorePort ? withoutPort(lower) : lower;
  const exact = hosts.exact.get(name);
  if (exact !== undefined) return exact;
  // A wildcard stands for at least one character.
  for (const [suffix, host] of hosts.suffixes)
    if (name.length > suffix.length && name.endsWith(suffix)) return host;
  for (const [prefix, host] of hosts.prefixes)
    if (name.length > prefix.length && name.startsWith(prefix)) return host;
  return hosts.any;
}

function withoutPort(authority: string): string {
  const colon = authority.lastIndexOf(":");
  return colon === -1 || authority.indexOf("]", colon) !== -1
    ? authority
    : authority.slice(0, colon);
}

function selectIn(host: VirtualHost, head: RequestHead, facts: SelectFacts): Route | undefined {
  const path = pathOnly(head.path);
  if (host.segments !== undefined) return selectIndexed(host, path, head, facts);
  for (const route of host.routes)
    if (firstMismatch(route, path, head, facts) === undefined) return route;
  return undefined;
}

const none: readonly number[] = [];

/** Merges the two ascending lists, so that the first route of the configuration still wins. */
function selectIndexed(
  { routes, segments }: VirtualHost,
  path: string,
  head: RequestHead,
  facts: SelectFacts,
): Route | undefined {
  const some = segments?.bySegment.get(firstSegment(path)) ?? none;
  const others = segments?.others ?? none;
  let atSome = 0;
  let atOthers = 0;
  while (atSome < some.length || atOthers < others.length) {
    const one = some[atSome] ?? routes.length;
    const other = others[atOthers] ?? routes.length;
    if (one < other) atSome++;
    else atOthers++;
    const route = routes[Math.min(one, other)];
    if (route !== undefined && firstMismatch(route, path, head, facts) === undefined) return route;
  }
  return undefined;
}

/** What of a route's match does not hold: the matcher itself, so that asking costs nothing. */
export type Mismatch =
  | PathMatcher
  | HeaderMatcher
  | QueryMatcher
  | MetadataMatcher
  | Fraction
  | "grpc";

/** `path` is the request's path without query. Undefined: everything holds. */
export function firstMismatch(
  route: RouteMatch,
  path: string,
  head: RequestHead,
  facts: SelectFacts,
): Mismatch | undefined {
  if (!matchesPath(route.path, path, head)) return route.path;
  if (route.grpcOnly && !isGrpc(head)) return "grpc";
  for (const header of route.headers) if (!matchesHeader(header, head)) return header;
  for (const query of route.query) if (!matchesQuery(query, head.path)) return query;
  for (const metadata of route.metadata)
    if (!matchesMetadata(metadata, facts.metadata)) return metadata;
  if (route.fraction !== undefined && !inFraction(route.fraction, facts.random()))
    return route.fraction;
  return undefined;
}

export function matchesPath(matcher: PathMatcher, path: string, head: RequestHead): boolean {
  // A CONNECT without a path can only be taken by a route that says so.
  if (path === "" && matcher.kind !== "connect") return false;
  switch (matcher.kind) {
    case "connect":
      return head.method === "CONNECT";
    case "any":
      return true;
    case "prefix":
      return cased(matcher, path).startsWith(matcher.value);
    case "exact":
      return cased(matcher, path) === matcher.value;
    case "separated-prefix":
      return startsWithSegments(cased(matcher, path), matcher.value);
    case "regex":
      return matcher.regex.fullMatch(path);
    case "template":
      return matcher.template.matches(path);
  }
}

function cased(matcher: { readonly caseSensitive: boolean }, path: string): string {
  return matcher.caseSensitive ? path : path.toLowerCase();
}

function startsWithSegments(path: string, prefix: string): boolean {
  return (
    path.startsWith(prefix) &&
    (path.length === prefix.length || path.charCodeAt(prefix.length) === 0x2f)
  );
}

/** Without query and fragment, as Envoy compares paths. */
export function pathOnly(path: string): string {
  const query = path.indexOf("?");
  const fragment = path.indexOf("#");
  if (query === -1 && fragment === -1) return path;
  if (query === -1) return path.slice(0, fragment);
  return path.slice(0, fragment === -1 ? query : Math.min(query, fragment));
}

export function isGrpc(head: RequestHead): boolean {
  return isGrpcType(head.fields.get("content-type") ?? "");
}

export function isGrpcType(type: string): boolean {
  return type.startsWith("application/grpc") && (type.length === 16 || type[16] === "+");
}

export function matchesQuery(matcher: QueryMatcher, pathAndQuery: string): boolean {
  const value = queryParameter(pathAndQuery, matcher.name);
  if (value === undefined) return !matcher.present;
  if (matcher.matcher === undefined) return matcher.present;
  return matchesString(matcher.matcher, value);
}

/** The first parameter of this name, as it stands in the path: nothing is decoded. "" for one without `=`. */
export function queryParameter(pathAndQuery: string, name: string): string | undefined {
  let at = pathAndQuery.indexOf("?") + 1;
  if (at === 0) return undefined;
  while (at < pathAndQuery.length) {
    let end = pathAndQuery.indexOf("&", at);
    if (end === -1) end = pathAndQuery.length;
    if (pathAndQuery.startsWith(name, at)) {
      const after = at + name.length;
      if (after === end) return "";
      if (after < end && pathAndQuery.charCodeAt(after) === 0x3d)
        return pathAndQuery.slice(after + 1, end);
    }
    at = end + 1;
  }
  return undefined;
}
