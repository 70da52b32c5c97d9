/** Why a request takes the route it takes: for `why` and decision records. Uses the same conditions as select.ts. */
import type { RequestHead } from "../http/message.ts";
import type {
  Fraction,
  HeaderMatcher,
  MetadataMatcher,
  QueryMatcher,
  StringMatcher,
  ValueMatcher,
} from "../model/matchers.ts";
import type { PathMatcher, Route, RouteTable } from "../model/route.ts";
import { headerValue, metadataAt } from "./match.ts";
import {
  firstMismatch,
  type Mismatch,
  pathOnly,
  queryParameter,
  type SelectFacts,
  selectHost,
} from "./select.ts";

export interface RouteExplanation {
  readonly table: string;
  /** Undefined: no virtual host has this authority. */
  readonly virtualHost: string | undefined;
  readonly route: Route | undefined;
  /** What the chosen route asked for, or why there is none. */
  readonly reason: string;
  /** Routes before the chosen one, in order. */
  readonly passedOver: readonly { readonly route: Route; readonly reason: string }[];
}

export function explainRoute(
  table: RouteTable,
  head: RequestHead,
  facts: SelectFacts,
): RouteExplanation {
  const host = selectHost(table.hosts, head.authority);
  if (host === undefined)
    return {
      table: table.name,
      virtualHost: undefined,
      route: undefined,
      reason: `no virtual host of ${table.name} has the authority ${quoted(head.authority)}`,
      passedOver: [],
    };
  const passedOver: { readonly route: Route; readonly reason: string }[] = [];
  const path = pathOnly(head.path);
  for (const route of host.routes) {
    const mismatch = firstMismatch(route, path, head, facts);
    if (mismatch === undefined)
      return {
        table: table.name,
        virtualHost: host.name,
        route,
        reason: describeMatch(route),
        passedOver,
      };
    passedOver.push({ route, reason: describeMismatch(route, mismatch, head, facts) });
  }
  return {
    table: table.name,
    virtualHost: host.name,
    route: undefined,
    reason: `none of the ${host.routes.length} routes of ${host.name} matches`,
    passedOver,
  };
}

/** All that a route asks of a request, in one line. */
export function describeMatch(route: Route): string {
  const parts = [describePath(route.path)];
  if (route.grpcOnly) parts.push("gRPC");
  for (const header of route.headers) parts.push(describeHeader(header));
  for (const query of route.query) parts.push(describeQuery(query));
  for (const metadata of route.metadata) parts.push(describeMetadata(metadata));
  if (route.fraction !== undefined) parts.push(describeFraction(route.fraction));
  return parts.join(", ");
}

function describeMismatch(
  route: Route,
  mismatch: Mismatch,
  head: RequestHead,
  facts: SelectFacts,
): string {
  if (mismatch === "grpc")
    return `is for gRPC; the content-type is ${found(head.fields.get("content-type"))}`;
  if (mismatch === route.path)
    return `needs ${describePath(route.path)}; the path is ${quoted(pathOnly(head.path))}`;
  if (route.fraction !== undefined && mismatch === route.fraction)
    return `takes only ${describeFraction(route.fraction)}`;
  for (const header of route.headers)
    if (header === mismatch)
      return `needs ${describeHeader(header)}; it is ${found(headerValue(head, header.name))}`;
  for (const query of route.query)
    if (query === mismatch)
      return `needs ${describeQuery(query)}; it is ${found(queryParameter(head.path, query.name))}`;
  const metadata = route.metadata.find((one) => one === mismatch);
  return metadata === undefined ? "does not match" : describeMissingMetadata(metadata, facts);
}

function describeMissingMetadata(matcher: MetadataMatcher, facts: SelectFacts): string {
  const value = metadataAt(facts.metadata, matcher.filter, matcher.path);
  const text = value === undefined ? "absent" : JSON.stringify(value);
  return `needs ${describeMetadata(matcher)}; it is ${text}`;
}

function describePath(path: PathMatcher): string {
  switch (path.kind) {
    case "any":
      return "any path";
    case "connect":
      return "a CONNECT";
    case "exact":
      return `path ${quoted(path.value)}${anyCase(!path.caseSensitive)}`;
    case "prefix":
      return `a path that begins with ${quoted(path.value)}${anyCase(!path.caseSensitive)}`;
    case "separated-prefix":
      return `path ${quoted(path.value)} or below${anyCase(!path.caseSensitive)}`;
    case "regex":
      return `a path that matches ${quoted(path.regex.source)}`;
    case "template":
      return `a path of the form ${quoted(path.template.source)}`;
  }
}

function describeHeader({ name, test, invert }: HeaderMatcher): string {
  switch (test.kind) {
    case "present":
      return `header ${name} ${test.present === invert ? "absent" : "present"}`;
    case "string":
      return `header ${name} ${invert ? "not " : ""}${describeString(test.matcher)}`;
    case "range":
      return `header ${name} ${invert ? "not " : ""}from ${test.start} to below ${test.end}`;
  }
}

function describeQuery({ name, present, matcher }: QueryMatcher): string {
  if (matcher === undefined) return `query parameter ${name} ${present ? "present" : "absent"}`;
  return `query parameter ${name} ${describeString(matcher)}`;
}

function describeMetadata({ filter, path, value, invert }: MetadataMatcher): string {
  const claim = filter === "envoy.filters.http.jwt_authn" && path[0] === "payload";
  const name = claim
    ? `JWT claim ${path.slice(1).join(".")}`
    : `metadata ${filter} ${path.join(".")}`;
  return `${name} ${invert ? "not " : ""}${describeValue(value)}`;
}

function describeValue(value: ValueMatcher): string {
  switch (value.kind) {
    case "null":
      return "null";
    case "bool":
      return String(value.value);
    case "string":
      return describeString(value.matcher);
    case "double":
      return value.range === undefined
        ? String(value.exact)
        : `from ${value.range[0]} to below ${value.range[1]}`;
    case "present":
      return value.present ? "present" : "absent";
    case "list":
      return `with an element ${describeValue(value.oneOf)}`;
    case "or":
      return value.matchers.map(describeValue).join(" or ");
  }
}

function describeString(matcher: StringMatcher): string {
  switch (matcher.kind) {
    case "exact":
      return `${quoted(matcher.value)}${anyCase(matcher.ignoreCase)}`;
    case "prefix":
      return `beginning with ${quoted(matcher.value)}${anyCase(matcher.ignoreCase)}`;
    case "suffix":
      return `ending in ${quoted(matcher.value)}${anyCase(matcher.ignoreCase)}`;
    case "contains":
      return `containing ${quoted(matcher.value)}${anyCase(matcher.ignoreCase)}`;
    case "regex":
      return `matching ${quoted(matcher.regex.source)}`;
  }
}

function describeFraction({ numerator, denominator }: Fraction): string {
  return `${numerator} of ${denominator} requests`;
}

function anyCase(ignored: boolean): string {
  return ignored ? " in any case" : "";
}

function found(value: string | undefined): string {
  return value === undefined ? "absent" : quoted(value);
}

/** Long values are cut: what a client sends may be large. */
function quoted(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);
}
