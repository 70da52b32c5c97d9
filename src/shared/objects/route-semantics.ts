/** Rules about routes that a type alone does not state. */

import type { Checker } from "./checks.ts";
import { grpcStatus } from "./grpc-status.ts";
import type { HttpFilter, ValueMatch } from "./kinds/routes.ts";
import type {
  CorsSpec,
  FaultSpec,
  HeadersSpec,
  HttpMatchSpec,
  HttpRouteSpec,
} from "./kinds/virtual-service.ts";
import type { ObjectOf } from "./kinds.ts";

export function checkVirtualService({ spec }: ObjectOf<"VirtualService">, checker: Checker): void {
  const at = checker.at("spec");
  at.unique(spec.hosts, "the host", "hosts");
  // One without hosts is a piece for others to delegate to.
  if (spec.hosts.length === 0 && spec.tls.length + spec.tcp.length > 0)
    at.refuse("rules for TCP and TLS need hosts", "hosts");
  if (spec.http.length + spec.tls.length + spec.tcp.length === 0)
    at.refuse("needs http, tls or tcp rules");
  spec.http.forEach((rule, index) => {
    checkHttpRule(rule, at.at("http", index), spec.hosts.length > 0);
  });
  for (const kind of ["tls", "tcp"] as const)
    spec[kind].forEach(({ route }, index) => {
      const place = at.at(kind, index);
      if (route.length === 0) place.refuse("needs a destination", "route");
      checkWeights(route, place);
    });
}

function checkHttpRule(rule: HttpRouteSpec, at: Checker, isRoot: boolean): void {
  checkAction(rule, at, isRoot);
  rule.match.forEach((match, index) => {
    checkMatch(match, at.at("match", index));
  });
  checkWeights(rule.route, at);
  rule.route.forEach(({ headers }, index) => {
    checkHeaders(headers, at.at("route", index, "headers"));
  });
  checkHeaders(rule.headers, at.at("headers"));
  at.regex(rule.rewrite?.uriRegexRewrite?.match, "rewrite", "uriRegexRewrite", "match");
  if (rule.rewrite?.uri !== undefined && rule.rewrite.uriRegexRewrite !== undefined)
    at.refuse("takes only one of uri and uriRegexRewrite", "rewrite");
  if (rule.fault !== undefined) checkFault(rule.fault, at.at("fault"));
  if (rule.corsPolicy !== undefined) checkCors(rule.corsPolicy, at.at("corsPolicy"));
  at.shortest(rule.timeout === 0 ? undefined : rule.timeout, "timeout");
  at.shortest(rule.retries?.perTryTimeout, "retries", "perTryTimeout");
  rule.mirrors.forEach(({ destination }, index) => {
    if (destination === undefined) at.refuse("needs a destination", "mirrors", index);
  });
}

/** A rule does one thing. */
function checkAction(rule: HttpRouteSpec, at: Checker, isRoot: boolean): void {
  const { redirect, directResponse, delegate } = rule;
  const actions = [
    ...(rule.route.length > 0 ? ["route"] : []),
    ...(redirect === undefined ? [] : ["redirect"]),
    ...(directResponse === undefined ? [] : ["directResponse"]),
    ...(delegate === undefined ? [] : ["delegate"]),
  ];
  if (actions.length === 0) at.refuse("needs route, redirect, directResponse or delegate");
  if (actions.length > 1) at.refuse(`takes only one of ${actions.join(" and ")}`);
  if (delegate !== undefined && !isRoot)
    at.refuse("what is delegated to cannot delegate further", "delegate");
  if (redirect === undefined) return;
  if (rule.rewrite !== undefined) at.refuse("a redirect cannot stand beside a rewrite", "redirect");
  checkRedirect(redirect, at.at("redirect"));
}

function checkRedirect(redirect: NonNullable<HttpRouteSpec["redirect"]>, at: Checker): void {
  const { uri, authority, port, derivePort, scheme, prefixRewrite } = redirect;
  if (uri !== "" && prefixRewrite !== "") at.refuse("takes only one of uri and prefixRewrite");
  const says = uri + authority + scheme + prefixRewrite !== "" || port !== undefined;
  if (!says && derivePort === undefined) at.refuse("must change something");
}

function checkMatch(match: HttpMatchSpec, at: Checker): void {
  for (const field of ["uri", "scheme", "method", "authority"] as const)
    at.match(match[field], field);
  for (const field of ["headers", "withoutHeaders"] as const)
    for (const [name, text] of Object.entries(match[field])) {
      // Claims of tokens are asked for like headers.
      if (!name.startsWith("@")) at.headerName(name, field, name);
      at.match(text, field, name);
    }
  for (const [name, text] of Object.entries(match.queryParams)) at.match(text, "queryParams", name);
}

function checkWeights(route: readonly { readonly weight: number }[], at: Checker): void {
  if (route.length > 1 && route.every(({ weight }) => weight === 0))
    at.refuse("of several destinations one needs a weight", "route");
}

function checkHeaders(headers: HeadersSpec | undefined, at: Checker): void {
  for (const direction of ["request", "response"] as const) {
    const { set = {}, add = {}, remove = [] } = headers?.[direction] ?? {};
    for (const name of Object.keys(set)) at.headerName(name, direction, "set", name);
    for (const name of Object.keys(add)) at.headerName(name, direction, "add", name);
    remove.forEach((name, index) => {
      at.headerName(name, direction, "remove", index);
    });
  }
}

function checkFault({ delay, abort }: FaultSpec, at: Checker): void {
  if (delay === undefined && abort === undefined) at.refuse("needs delay or abort");
  if (delay !== undefined && delay.fixedDelay === undefined) at.refuse("needs fixedDelay", "delay");
  at.shortest(delay?.fixedDelay, "delay", "fixedDelay");
  if (abort === undefined) return;
  if (abort.http2Error !== undefined) at.refuse("is not supported", "abort", "http2Error");
  if (abort.httpStatus === undefined && abort.grpcStatus === undefined)
    at.refuse("needs httpStatus or grpcStatus", "abort");
  if (abort.grpcStatus !== undefined && grpcStatus(abort.grpcStatus) === undefined)
    at.refuse(`${JSON.stringify(abort.grpcStatus)} is not a status of gRPC`, "abort", "grpcStatus");
}

function checkCors({ allowOrigins }: CorsSpec, at: Checker): void {
  allowOrigins.forEach((match, index) => {
    at.match(match, "allowOrigins", index);
  });
}

export function checkHttpRoute({ spec }: ObjectOf<"HTTPRoute">, checker: Checker): void {
  spec.rules.forEach((rule, index) => {
    const at = checker.at("spec", "rules", index);
    rule.matches.forEach(({ path, headers, queryParams }, i) => {
      const place = at.at("matches", i);
      if (path.type === "RegularExpression") place.regex(path.value, "path", "value");
      else if (!path.value.startsWith("/"))
        place.refuse("must start with a slash", "path", "value");
      checkValues(headers, place.at("headers"));
      checkValues(queryParams, place.at("queryParams"));
    });
    checkFilters(rule.filters, at);
    rule.backendRefs.forEach(({ filters }, i) => {
      checkFilters(filters, at.at("backendRefs", i));
    });
    const types = rule.filters.map(({ type }) => type);
    if (types.includes("RequestRedirect") && types.includes("URLRewrite"))
      at.refuse("RequestRedirect and URLRewrite cannot stand together", "filters");
  });
}

export function checkGrpcRoute({ spec }: ObjectOf<"GRPCRoute">, checker: Checker): void {
  spec.rules.forEach((rule, index) => {
    const at = checker.at("spec", "rules", index);
    rule.matches.forEach(({ method, headers }, i) => {
      const place = at.at("matches", i);
      if (method !== undefined && method.method === undefined && method.service === undefined)
        place.refuse("needs service or method", "method");
      if (method?.type === "RegularExpression") {
        place.regex(method.service, "method", "service");
        place.regex(method.method, "method", "method");
      }
      checkValues(headers, place.at("headers"));
    });
    checkFilters(rule.filters, at);
  });
}

function checkValues(matches: readonly ValueMatch[], at: Checker): void {
  matches.forEach(({ type, value }, index) => {
    if (type === "RegularExpression") at.regex(value, index, "value");
  });
}

const FIELDS = {
  RequestHeaderModifier: "requestHeaderModifier",
  ResponseHeaderModifier: "responseHeaderModifier",
  RequestMirror: "requestMirror",
  RequestRedirect: "requestRedirect",
  URLRewrite: "urlRewrite",
  ExtensionRef: "extensionRef",
  CORS: "cors",
  ExternalAuth: "externalAuth",
} as const satisfies Record<HttpFilter["type"], keyof HttpFilter>;

function checkFilters(filters: readonly HttpFilter[], at: Checker): void {
  filters.forEach((filter, index) => {
    const field = FIELDS[filter.type];
    if (filter[field] === undefined)
      at.refuse(`a filter of type ${filter.type} needs ${field}`, "filters", index);
    const { path } = filter.urlRewrite ?? filter.requestRedirect ?? {};
    const wanted = path?.type === "ReplaceFullPath" ? "replaceFullPath" : "replacePrefixMatch";
    if (path !== undefined && path[wanted] === undefined)
      at.refuse(`a path of type ${path.type} needs ${wanted}`, "filters", index);
  });
}
