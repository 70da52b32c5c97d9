/** Where a redirecting route sends a request. Pure. */
import type { RequestHead } from "../http/message.ts";
import type { PathMatcher, Redirect } from "../model/route.ts";
import { rewrittenPath } from "./rewrite.ts";

/** The value of Location. `forwardedProto` is the request's x-forwarded-proto. */
export function redirectUrl(redirect: Redirect, matcher: PathMatcher, head: RequestHead): string {
  const scheme = redirect.scheme ?? (redirect.httpsRedirect ? "https" : head.scheme);
  const port = redirect.port === undefined ? "" : `:${redirect.port}`;
  const host = redirect.host ?? requestHost(head, scheme, port);
  return `${scheme}://${host}${port}${redirectPath(redirect, matcher, head.path)}`;
}

/** Location of a direct response: Envoy gives one with statuses that speak of another place. */
export function directLocation(status: number, head: RequestHead): string | undefined {
  if (status !== 201 && (status < 300 || status > 399)) return undefined;
  return `${head.scheme}://${requestHost(head, head.scheme, "")}${absolute(head.path)}`;
}

function redirectPath(redirect: Redirect, matcher: PathMatcher, path: string): string {
  const { path: change, stripQuery } = redirect;
  if (change.kind === "full") {
    const target = absolute(change.path);
    // A query of the configured path stands for the request's, and stays.
    if (target.includes("?")) return target;
    const query = path.indexOf("?");
    return query === -1 || stripQuery ? target : target + path.slice(query);
  }
  const target = absolute(rewrittenPath(matcher, change, path) ?? path);
  const query = stripQuery ? target.indexOf("?") : -1;
  return query === -1 ? target : target.slice(0, query);
}

function absolute(path: string): string {
  return path.startsWith("/") ? path : `/${path}`;
}

/** The request's own host; its port goes when another one is given, or when it was only the default of the other scheme. */
function requestHost(head: RequestHead, scheme: string, port: string): string {
  const host = head.authority;
  const colon = portStart(host);
  if (colon === -1) return host;
  const former = head.fields.get("x-forwarded-proto");
  const ownPort = host.slice(colon);
  const isDefault =
    scheme !== former &&
    ((former === "https" && ownPort === ":443") || (former === "http" && ownPort === ":80"));
  return port !== "" || isDefault ? host.slice(0, colon) : host;
}

function portStart(host: string): number {
  if (!host.startsWith("[")) return host.lastIndexOf(":");
  const end = host.lastIndexOf("]:");
  return end === -1 ? -1 : end + 1;
}
