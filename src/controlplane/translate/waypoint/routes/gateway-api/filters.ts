/** Filters of the Gateway API in the words of a VirtualService. */
import type {
  HeaderModifier,
  HttpFilter,
  MirrorFilter,
} from "../../../../../shared/objects/kinds/routes.ts";
import type {
  CorsSpec,
  HeadersSpec,
  HttpRouteSpec,
  StringMatch,
} from "../../../../../shared/objects/kinds/virtual-service.ts";
import { quoted } from "../rewrite.ts";
import { type ConversionContext, convertBackend } from "./backends.ts";
import type { RouteFault } from "./outcome.ts";
import { stated } from "./stated.ts";

type HeaderOperations = NonNullable<HeadersSpec["request"]>;

export interface FilterResult {
  /** What the filters add to a rule. */
  readonly changes: Partial<HttpRouteSpec>;
  readonly fault: RouteFault | undefined;
  /** The whole rule cannot be meant as it stands. */
  readonly fatal: boolean;
}

/** Filters of HTTPRoutes and GRPCRoutes; the latter have a part of the former's. */
export function convertFilters(
  filters: readonly HttpFilter[],
  namespace: string,
  context: ConversionContext,
): FilterResult {
  let headers: HeadersSpec = {};
  let changes: Partial<HttpRouteSpec> = {};
  const mirrors: HttpRouteSpec["mirrors"][number][] = [];
  let fault: RouteFault | undefined;
  for (const filter of filters) {
    const { type } = filter;
    switch (type) {
      case "RequestHeaderModifier":
      case "ResponseHeaderModifier": {
        const changed = changeHeaders(headers, filter);
        if (typeof changed === "string") return fatal(changed);
        headers = changed;
        break;
      }
      case "RequestMirror": {
        const mirror = mirrorOf(filter, namespace, context);
        mirrors.push(...mirror.mirrors);
        fault = mirror.fault ?? fault;
        break;
      }
      case "RequestRedirect":
        changes = { ...changes, ...stated({ redirect: redirectOf(filter) }) };
        break;
      case "URLRewrite":
        changes = { ...changes, ...stated({ rewrite: rewriteOf(filter) }) };
        break;
      case "CORS":
        changes = { ...changes, ...stated({ corsPolicy: corsOf(filter) }) };
        break;
      default:
        return fatal(`unsupported filter type "${type}"`);
    }
  }
  const changed = headers.request !== undefined || headers.response !== undefined;
  return {
    changes: { ...changes, mirrors, ...(changed ? { headers } : {}) },
    fault,
    fatal: false,
  };
}

interface Mirrors {
  readonly mirrors: HttpRouteSpec["mirrors"];
  readonly fault: RouteFault | undefined;
}

/** A mirror that has a fault is left out: nobody waits for its answers. */
function mirrorOf(
  { requestMirror }: HttpFilter,
  namespace: string,
  context: ConversionContext,
): Mirrors {
  if (requestMirror === undefined) return { mirrors: [], fault: undefined };
  const { destination, fault } = convertBackend(requestMirror.backendRef, namespace, context);
  if (fault !== undefined || destination === undefined) return { mirrors: [], fault };
  const mirror = stated({ destination, percentage: percentageOf(requestMirror) });
  return { mirrors: [mirror], fault };
}

function fatal(message: string): FilterResult {
  return { changes: {}, fault: { reason: "InvalidFilter", message }, fatal: true };
}

/** At a backend only headers can be changed. A message for what cannot be. */
export function backendHeaders(filters: readonly HttpFilter[]): HeadersSpec | undefined | string {
  let headers: HeadersSpec | undefined;
  for (const filter of filters) {
    if (filter.type !== "RequestHeaderModifier" && filter.type !== "ResponseHeaderModifier")
      return `unsupported filter type "${filter.type}"`;
    const changed = changeHeaders(headers ?? {}, filter);
    if (typeof changed === "string") return changed;
    headers = changed;
  }
  return headers;
}

/** The last filter of a direction counts. */
function changeHeaders(
  headers: HeadersSpec,
  { type, requestHeaderModifier: request, responseHeaderModifier: response }: HttpFilter,
): HeadersSpec | string {
  const modifier = type === "RequestHeaderModifier" ? request : response;
  if (modifier === undefined) return headers;
  const bad = [...modifier.set, ...modifier.add].find(({ value }) => !isHeaderValue(value));
  if (bad !== undefined) return `header "${bad.name}" value contains invalid characters`;
  const operations = operationsOf(modifier);
  return type === "RequestHeaderModifier"
    ? { ...headers, request: operations }
    : { ...headers, response: operations };
}

function isHeaderValue(value: string): boolean {
  for (const character of value) {
    const code = character.codePointAt(0) ?? 0;
    if (code !== 9 && (code < 0x20 || code === 0x7f)) return false;
  }
  return true;
}

function operationsOf({ set, add, remove }: HeaderModifier): HeaderOperations {
  return { set: firstOfEach(set), add: firstOfEach(add), remove };
}

/** Of names that differ in case only, the first counts. */
function firstOfEach(headers: HeaderModifier["set"]): Record<string, string> {
  const made = new Map<string, string>();
  for (const { name, value } of headers) {
    const key = name.toLowerCase();
    if (!made.has(key)) made.set(key, value);
  }
  return Object.fromEntries(made);
}

function percentageOf({ fraction, percent }: MirrorFilter): { readonly value: number } | undefined {
  if (fraction !== undefined) return { value: (100 * fraction.numerator) / fraction.denominator };
  return percent === undefined ? undefined : { value: percent };
}

function redirectOf({ requestRedirect: redirect }: HttpFilter): HttpRouteSpec["redirect"] {
  if (redirect === undefined) return undefined;
  const { scheme, hostname, path, port, statusCode } = redirect;
  const derivePort = scheme === undefined ? "FROM_REQUEST_PORT" : "FROM_PROTOCOL_DEFAULT";
  return stated({
    redirectCode: statusCode ?? 0,
    authority: hostname ?? "",
    scheme: scheme ?? "",
    port,
    // A stated scheme brings its own port, else the request's is kept.
    derivePort: port === undefined ? (derivePort as typeof derivePort) : undefined,
    uri: path?.type === "ReplaceFullPath" ? (path.replaceFullPath ?? "") : "",
    prefixRewrite: path?.type === "ReplacePrefixMatch" ? (path.replacePrefixMatch ?? "") : "",
  });
}

function rewriteOf({ urlRewrite }: HttpFilter): HttpRouteSpec["rewrite"] {
  const { path, hostname = "" } = urlRewrite ?? {};
  const whole = path?.type === "ReplaceFullPath" ? path.replaceFullPath : undefined;
  // A slash stands for the prefix taken away.
  const uri =
    path?.type === "ReplacePrefixMatch"
      ? (path.replacePrefixMatch ?? "").replace(/\/$/, "") || "/"
      : undefined;
  if (uri === undefined && whole === undefined && hostname === "") return undefined;
  return stated({
    uri,
    authority: hostname,
    uriRegexRewrite: whole === undefined ? undefined : { match: "/.*", rewrite: whole },
  });
}

/** Any origin, as RFC 6454 section 6.2 writes one. */
const ANY_ORIGIN = "^[a-zA-Z][a-zA-Z0-9+.-]*://[^/\\s?#]+$";

function corsOf({ cors }: HttpFilter): CorsSpec | undefined {
  if (cors === undefined) return undefined;
  return stated({
    allowOrigin: [] as readonly string[],
    allowOrigins: cors.allowOrigins.filter((origin) => origin !== "").map(originMatch),
    allowMethods: cors.allowMethods,
    allowHeaders: cors.allowHeaders,
    exposeHeaders: cors.exposeHeaders,
    maxAge: cors.maxAge === undefined ? undefined : cors.maxAge * 1000,
    allowCredentials: cors.allowCredentials === true ? true : undefined,
    unmatchedPreflights: "IGNORE" as const,
  });
}

function originMatch(origin: string): StringMatch {
  if (origin === "*") return { regex: ANY_ORIGIN };
  const star = origin.indexOf("*");
  if (star < 0) return { exact: origin };
  if (star === origin.length - 1) return { prefix: origin.slice(0, -1) };
  return { regex: `^${origin.split("*").map(quoted).join(".*")}$` };
}
