/** The order of rules that the Gateway API demands, whatever objects they stand in. */
import type {
  HttpMatchSpec,
  HttpRouteSpec,
  StringMatch,
} from "../../../../../shared/objects/kinds/virtual-service.ts";

/** Stable: of equals the older object's comes first. */
export function inPrecedence(rules: readonly HttpRouteSpec[]): readonly HttpRouteSpec[] {
  return [...rules].sort(compare);
}

function compare({ match: [a] }: HttpRouteSpec, { match: [b] }: HttpRouteSpec): number {
  if (a === undefined || b === undefined)
    return (a === undefined ? 1 : 0) - (b === undefined ? 1 : 0);
  return (
    pathRank(b.uri) - pathRank(a.uri) ||
    pathLength(b.uri) - pathLength(a.uri) ||
    countMethod(b) - countMethod(a) ||
    count(b.headers) - count(a.headers) ||
    count(b.queryParams) - count(a.queryParams)
  );
}

function pathRank(uri: StringMatch | undefined): number {
  if (uri?.exact !== undefined) return 3;
  if (uri?.prefix !== undefined) return 2;
  return uri?.regex === undefined ? -1 : 1;
}

function pathLength(uri: StringMatch | undefined): number {
  const text = uri?.exact ?? uri?.prefix ?? uri?.regex;
  return text === undefined ? 0 : Buffer.byteLength(text);
}

function countMethod({ method }: HttpMatchSpec): number {
  return method === undefined ? 0 : 1;
}

function count(matches: Readonly<Record<string, StringMatch>>): number {
  return Object.keys(matches).length;
}
