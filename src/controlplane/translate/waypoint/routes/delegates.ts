/** A route and a route of its delegate as one: what the delegate does not say, the root says. */
import type {
  HttpMatchSpec,
  HttpRouteSpec,
  StringMatch,
} from "../../../../shared/objects/kinds/virtual-service.ts";

/** Undefined when the delegate matches nothing that the root lets through. */
export function mergeDelegate(
  root: HttpRouteSpec,
  delegate: HttpRouteSpec,
): HttpRouteSpec | undefined {
  const match = mergeMatches(root.match, delegate.match);
  if (match === undefined) return undefined;
  const {
    match: _match,
    name: _name,
    route: _route,
    delegate: _further,
    mirrors,
    redirect: _redirect,
    ...defaults
  } = root;
  const stated = Object.fromEntries(
    Object.entries(delegate).filter(([, value]) => value !== undefined),
  ) as unknown as HttpRouteSpec;
  return {
    ...defaults,
    ...stated,
    match,
    name: joinNames(root.name, delegate.name),
    mirrors: delegate.mirrors.length > 0 ? delegate.mirrors : mirrors,
  };
}

function joinNames(root: string, delegate: string): string {
  if (delegate === "") return root;
  return root === "" ? delegate : `${root}-${delegate}`;
}

function mergeMatches(
  root: readonly HttpMatchSpec[],
  delegate: readonly HttpMatchSpec[],
): readonly HttpMatchSpec[] | undefined {
  if (root.length === 0) return delegate;
  if (delegate.length === 0) return root;
  const merged: HttpMatchSpec[] = [];
  for (const leaf of delegate) {
    const fitting = root.filter((one) => !conflicts(one, leaf));
    // One match without any place in the root makes the whole route of the delegate void.
    if (fitting.length === 0) return undefined;
    merged.push(...fitting.map((one) => mergeMatch(one, leaf)));
  }
  return merged;
}

function mergeMatch(root: HttpMatchSpec, leaf: HttpMatchSpec): HttpMatchSpec {
  const text = {
    uri: leaf.uri ?? root.uri,
    scheme: leaf.scheme ?? root.scheme,
    method: leaf.method ?? root.method,
    authority: leaf.authority ?? root.authority,
    port: leaf.port || root.port,
  };
  const stated = Object.fromEntries(
    Object.entries(text).filter(([, value]) => value !== undefined),
  );
  return {
    ...leaf,
    ...stated,
    name: joinNames(root.name, leaf.name),
    headers: { ...root.headers, ...leaf.headers },
    withoutHeaders: { ...root.withoutHeaders, ...leaf.withoutHeaders },
    queryParams: { ...root.queryParams, ...leaf.queryParams },
    sourceLabels: { ...root.sourceLabels, ...leaf.sourceLabels },
    sourceNamespace: leaf.sourceNamespace || root.sourceNamespace,
    gateways: leaf.gateways.length > 0 ? leaf.gateways : root.gateways,
    statPrefix: leaf.statPrefix || root.statPrefix,
  };
}

function conflicts(root: HttpMatchSpec, leaf: HttpMatchSpec): boolean {
  for (const field of ["uri", "scheme", "method", "authority"] as const)
    if (textsConflict(root[field], leaf[field])) return true;
  for (const field of ["headers", "withoutHeaders", "queryParams"] as const)
    for (const [key, match] of Object.entries(leaf[field]))
      if (textsConflict(own(root[field], key), match)) return true;
  return (
    root.ignoreUriCase !== leaf.ignoreUriCase ||
    differ(root.port, leaf.port) ||
    (root.sourceNamespace !== "" && leaf.sourceNamespace !== root.sourceNamespace) ||
    Object.entries(leaf.sourceLabels).some(([key, value]) =>
      differ(own(root.sourceLabels, key), value),
    ) ||
    gatewaysConflict(root.gateways, leaf.gateways)
  );
}

function own<T>(map: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}

function differ<T>(a: T | undefined, b: T | undefined): boolean {
  return a !== undefined && b !== undefined && a !== 0 && b !== 0 && a !== b;
}

function gatewaysConflict(root: readonly string[], leaf: readonly string[]): boolean {
  if (root.length === 0 || leaf.length === 0) return false;
  return leaf.some((gateway) => !root.includes(gateway));
}

/** Regexes are never known to agree; a prefix agrees with what starts with it. */
function textsConflict(root: StringMatch | undefined, leaf: StringMatch | undefined): boolean {
  if (root === undefined || leaf === undefined) return false;
  const saysSomething = (match: StringMatch): boolean =>
    Boolean(match.regex || match.prefix || match.exact);
  if (root.regex && saysSomething(leaf)) return true;
  if (leaf.regex && saysSomething(root)) return true;
  if (root.exact) return Boolean(leaf.prefix) || leaf.exact !== root.exact;
  if (root.prefix) {
    const narrower = leaf.prefix || leaf.exact;
    if (narrower) return !narrower.startsWith(root.prefix);
  }
  return true;
}
