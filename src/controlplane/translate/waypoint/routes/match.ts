/** What of a request a route looks at. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  HttpMatchSpec,
  StringMatch,
} from "../../../../shared/objects/kinds/virtual-service.ts";
import type {
  HeaderMatcherSchema,
  QueryParameterMatcherSchema,
  RouteMatchSchema,
} from "../../../../shared/wire/gen/envoy/config/route/v3/route_components_pb.js";
import type { MetadataMatcherSchema } from "../../../../shared/wire/gen/envoy/type/matcher/v3/metadata_pb.js";
import type { StringMatcherSchema } from "../../../../shared/wire/gen/envoy/type/matcher/v3/string_pb.js";
import { claimMatcher, routingClaim } from "../claims.ts";
import { byText, type Init } from "../wire.ts";

export type RouteMatchInit = Init<typeof RouteMatchSchema>;
type HeaderMatch = Init<typeof HeaderMatcherSchema>;
type QueryMatch = Init<typeof QueryParameterMatcherSchema>;
type MetadataMatch = Init<typeof MetadataMatcherSchema>;
export type StringMatcherInit = Init<typeof StringMatcherSchema>;

/** Undefined for a match that asks for presence only. */
export function stringMatcher(match: StringMatch): StringMatcherInit | undefined {
  if (match.exact !== undefined) return { matchPattern: { case: "exact", value: match.exact } };
  if (match.prefix !== undefined) return { matchPattern: { case: "prefix", value: match.prefix } };
  if (match.regex !== undefined)
    return { matchPattern: { case: "safeRegex", value: { regex: match.regex } } };
  return undefined;
}

/** `*` is no regex, yet what people write for any value. */
function asksForPresence(match: StringMatch): boolean {
  return match.regex === "*" || stringMatcher(match) === undefined;
}

function headerMatch(name: string, match: StringMatch): HeaderMatch {
  const value = stringMatcher(match);
  return value === undefined || asksForPresence(match)
    ? { name, headerMatchSpecifier: { case: "presentMatch", value: true } }
    : { name, headerMatchSpecifier: { case: "stringMatch", value } };
}

function absentHeaderMatch(name: string, match: StringMatch): HeaderMatch {
  const made: HeaderMatch = { ...headerMatch(name, match), invertMatch: true };
  // Without a value there is nothing that could differ from it.
  return asksForPresence(match) ? made : { ...made, treatMissingHeaderAsEmpty: true };
}

function queryMatch(name: string, match: StringMatch): QueryMatch {
  const value = stringMatcher(match);
  return value === undefined || asksForPresence(match)
    ? { name, queryParameterMatchSpecifier: { case: "presentMatch", value: true } }
    : { name, queryParameterMatchSpecifier: { case: "stringMatch", value } };
}

export function routeMatch(match: HttpMatchSpec | undefined, gatewayApi: boolean): RouteMatchInit {
  if (match === undefined) return { pathSpecifier: { case: "prefix", value: "/" } };
  const headers: HeaderMatch[] = [];
  const metadata: MetadataMatch[] = [];
  for (const [name, text] of sorted(match.headers)) {
    const claim = routingClaim(name);
    if (claim === undefined) headers.push(headerMatch(name, text));
    else metadata.push(claimMatcher(claim, stringMatcher(text)));
  }
  for (const [name, text] of sorted(match.withoutHeaders)) {
    const claim = routingClaim(name);
    if (claim === undefined) headers.push(absentHeaderMatch(name, text));
    else metadata.push({ ...claimMatcher(claim, stringMatcher(text)), invert: true });
  }
  headers.sort((a, b) => byText(a.name ?? "", b.name ?? ""));
  if (match.method !== undefined) headers.push(headerMatch(":method", match.method));
  if (match.authority !== undefined) headers.push(headerMatch(":authority", match.authority));
  if (match.scheme !== undefined) headers.push(headerMatch(":scheme", match.scheme));
  return {
    pathSpecifier: pathOf(match.uri, gatewayApi),
    caseSensitive: !match.ignoreUriCase,
    headers,
    queryParameters: sorted(match.queryParams).map(([name, text]) => queryMatch(name, text)),
    dynamicMetadata: metadata,
  };
}

function sorted<T>(map: Readonly<Record<string, T>>): readonly (readonly [string, T])[] {
  return Object.entries(map).sort(([a], [b]) => byText(a, b));
}

function pathOf(
  uri: StringMatch | undefined,
  gatewayApi: boolean,
): NonNullable<RouteMatchInit["pathSpecifier"]> {
  if (uri?.exact !== undefined) return { case: "path", value: uri.exact };
  if (uri?.prefix !== undefined)
    return gatewayApi && uri.prefix !== "/"
      ? { case: "pathSeparatedPrefix", value: uri.prefix.replace(/\/$/, "") }
      : { case: "prefix", value: uri.prefix };
  if (uri?.regex !== undefined) return { case: "safeRegex", value: { regex: uri.regex } };
  return { case: "prefix", value: "/" };
}

/** Nothing passes by it: what stands behind such a route is never reached. */
export function isCatchAll({
  pathSpecifier,
  headers = [],
  queryParameters = [],
  dynamicMetadata = [],
}: Pick<
  MessageInitShape<typeof RouteMatchSchema>,
  "pathSpecifier" | "headers" | "queryParameters" | "dynamicMetadata"
>): boolean {
  if (headers.length + queryParameters.length + dynamicMetadata.length > 0) return false;
  switch (pathSpecifier?.case) {
    case "prefix":
    case "pathSeparatedPrefix":
      return pathSpecifier.value === "/";
    case "safeRegex":
      return pathSpecifier.value.regex === ".*";
    default:
      return false;
  }
}
