/** Rules of HTTPRoutes and GRPCRoutes as those of a VirtualService, one for each match. */
import type {
  GrpcRouteMatch,
  HttpFilter,
  HttpRouteMatch,
  HttpRule,
  ValueMatch,
} from "../../../../../shared/objects/kinds/routes.ts";
import type {
  HttpDestinationSpec,
  HttpMatchSpec,
  HttpRouteSpec,
  StringMatch,
} from "../../../../../shared/objects/kinds/virtual-service.ts";
import type { ObjectOf } from "../../../../../shared/objects/kinds.ts";
import { type ConversionContext, convertBackend, hasWeight, weighted } from "./backends.ts";
import { backendHeaders, convertFilters } from "./filters.ts";
import { type Converted, type ConvertedRule, collect, type RouteFault } from "./outcome.ts";
import { stated } from "./stated.ts";

type Rule = ConvertedRule<HttpRouteSpec>;

export function convertHttpRoute(
  { metadata, spec }: ObjectOf<"HTTPRoute">,
  context: ConversionContext,
): Converted<HttpRouteSpec> {
  return convertRules(metadata, spec.rules, httpMatch, context);
}

export function convertGrpcRoute(
  { metadata, spec }: ObjectOf<"GRPCRoute">,
  context: ConversionContext,
): Converted<HttpRouteSpec> {
  return convertRules(metadata, spec.rules, grpcMatch, context);
}

type UnnamedRule<M> = Omit<RuleInput, "name"> & {
  readonly name?: string | undefined;
  readonly matches: readonly M[];
};

/** A rule for each match; one without matches takes everything. */
function convertRules<M>(
  metadata: { readonly namespace: string; readonly name: string },
  rules: readonly UnnamedRule<M>[],
  matchOf: (match: M) => HttpMatchSpec | string,
  context: ConversionContext,
): Converted<HttpRouteSpec> {
  return collect(
    rules.flatMap((rule, index) => {
      const name = rule.name ?? ruleName(metadata, index);
      const base = convertRule({ ...rule, name }, metadata.namespace, context);
      const matches = rule.matches.length === 0 ? [undefined] : rule.matches;
      return matches.map((match) => withMatch(base, match && matchOf(match)));
    }),
  );
}

function ruleName(
  { namespace, name }: { readonly namespace: string; readonly name: string },
  index: number,
): string {
  return `${namespace}.${name}.${index}`;
}

function withMatch({ rule, fault }: Rule, match: HttpMatchSpec | string | undefined): Rule {
  if (typeof match === "string")
    return { rule: undefined, fault: { reason: "UnsupportedValue", message: match } };
  return rule === undefined || match === undefined
    ? { rule, fault }
    : { rule: { ...rule, match: [match] }, fault };
}

interface RuleInput {
  readonly name: string;
  readonly filters: readonly HttpFilter[];
  readonly backendRefs: HttpRule["backendRefs"];
  readonly timeouts?: HttpRule["timeouts"];
  readonly retry?: HttpRule["retry"];
}

function convertRule(input: RuleInput, namespace: string, context: ConversionContext): Rule {
  const filters = convertFilters(input.filters, namespace, context);
  if (filters.fatal) return { rule: undefined, fault: filters.fault };
  const base: HttpRouteSpec = {
    name: input.name,
    match: [],
    route: [],
    mirrors: [],
    ...filters.changes,
    ...timesOf(input),
  };
  // Without a backend of any weight nobody could answer but us.
  if (!hasWeight(input.backendRefs) && base.redirect === undefined)
    return { rule: { ...base, directResponse: { status: 500 } }, fault: filters.fault };
  const { route, fault } = destinations(input.backendRefs, namespace, context);
  if (route === undefined) return { rule: undefined, fault };
  return { rule: { ...base, route }, fault: joined(fault, filters.fault) };
}

function joined(a: RouteFault | undefined, b: RouteFault | undefined): RouteFault | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return { ...a, message: `${a.message}; ${b.message}` };
}

interface Destinations {
  readonly route: readonly HttpDestinationSpec[] | undefined;
  readonly fault: RouteFault | undefined;
}

function destinations(
  backends: HttpRule["backendRefs"],
  namespace: string,
  context: ConversionContext,
): Destinations {
  const route: HttpDestinationSpec[] = [];
  let fault: RouteFault | undefined;
  for (const backend of weighted(backends)) {
    const converted = convertBackend(backend, namespace, context);
    const { destination } = converted;
    if (destination === undefined) return { route: undefined, fault: converted.fault };
    const headers = backendHeaders(backend.filters);
    if (typeof headers === "string")
      return { route: undefined, fault: { reason: "InvalidFilter", message: headers } };
    fault = converted.fault ?? fault;
    route.push({
      destination,
      weight: backend.weight,
      ...(headers === undefined ? {} : { headers }),
    });
  }
  return { route, fault };
}

const RETRY_ON = ["connect-failure", "refused-stream", "unavailable", "cancelled"];
const DEFAULT_ATTEMPTS = 2;

function timesOf({ timeouts, retry }: RuleInput): Pick<HttpRouteSpec, "timeout" | "retries"> {
  const request = timeouts?.request || undefined;
  const perTry = timeouts?.backendRequest || undefined;
  if (retry === undefined) return stated({ timeout: perTry ?? request });
  const attempts = retry.attempts ?? DEFAULT_ATTEMPTS;
  return stated({
    timeout: request,
    retries: stated({
      attempts,
      retryOn: attempts === 0 ? "" : [...RETRY_ON, ...retry.codes.map(String)].join(","),
      perTryTimeout: perTry,
      backoff: retry.backoff,
    }),
  });
}

const NOTHING: HttpMatchSpec = {
  name: "",
  headers: {},
  withoutHeaders: {},
  queryParams: {},
  sourceLabels: {},
  sourceNamespace: "",
  gateways: [],
  ignoreUriCase: false,
  statPrefix: "",
};

/** A match of everything. */
export const anyMatch: HttpMatchSpec = NOTHING;

function httpMatch({ path, headers, queryParams, method }: HttpRouteMatch): HttpMatchSpec {
  return {
    ...NOTHING,
    uri: pathMatch(path),
    headers: valueMatches(headers),
    queryParams: valueMatches(queryParams),
    ...(method === undefined ? {} : { method: { exact: method } }),
  };
}

function pathMatch({ type, value }: HttpRouteMatch["path"]): StringMatch {
  switch (type) {
    case "Exact":
      return { exact: value };
    case "RegularExpression":
      return { regex: value };
    case "PathPrefix":
      return { prefix: value === "/" ? value : value.replace(/\/$/, "") };
  }
}

function valueMatches(matches: readonly ValueMatch[]): Record<string, StringMatch> {
  return Object.fromEntries(
    matches.map(({ type, name, value }) => [
      name,
      type === "Exact" ? { exact: value } : { regex: value },
    ]),
  );
}

/** A message for one that says nothing. */
function grpcMatch({ method, headers }: GrpcRouteMatch): HttpMatchSpec | string {
  const rest = { ...NOTHING, headers: valueMatches(headers) };
  if (method === undefined) return rest;
  const uri = grpcPath(method);
  return uri === undefined ? "gRPC match must have method or service defined" : { ...rest, uri };
}

/** A call's path is `/<service>/<method>`. */
function grpcPath({
  type,
  service,
  method,
}: NonNullable<GrpcRouteMatch["method"]>): StringMatch | undefined {
  if (service === undefined)
    return method === undefined ? undefined : { regex: `/[^/]+/${method}` };
  if (type === "Exact")
    return method === undefined ? { prefix: `/${service}/` } : { exact: `/${service}/${method}` };
  return { regex: method === undefined ? `/${service}/.+` : `/${service}/${method}` };
}
