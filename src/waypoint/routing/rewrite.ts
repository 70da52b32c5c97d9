/** What a route does to path and host before a request goes on. Pure. */
import type { RequestHead } from "../http/message.ts";
import type { Regex } from "../model/matchers.ts";
import type { Forward, PathMatcher } from "../model/route.ts";
import { pathOnly } from "./select.ts";

export type PathChange =
  | { readonly kind: "none" }
  | { readonly kind: "prefix"; readonly replacement: string }
  | { readonly kind: "regex"; readonly regex: Regex; readonly substitution: string };

/** Undefined: the path stays. Only the part before the query changes. */
export function rewrittenPath(
  matcher: PathMatcher,
  change: PathChange,
  path: string,
): string | undefined {
  switch (change.kind) {
    case "none":
      return undefined;
    case "prefix":
      return change.replacement + path.slice(matchedLength(matcher, path));
    case "regex": {
      const before = pathOnly(path);
      return change.regex.replaceAll(before, change.substitution) + path.slice(before.length);
    }
  }
}

/** How much of the path the route's match covers: what a prefix rewrite replaces. */
function matchedLength(matcher: PathMatcher, path: string): number {
  switch (matcher.kind) {
    case "prefix":
    case "exact":
    case "separated-prefix":
      return matcher.value.length;
    case "regex":
    case "template":
      return pathOnly(path).length;
    case "any":
    case "connect":
      return 0;
  }
}

/** Undefined: the authority stays, or is the endpoint's to give (`auto`). */
export function rewrittenAuthority(
  rewrite: Forward["hostRewrite"],
  head: RequestHead,
): string | undefined {
  switch (rewrite.kind) {
    case "none":
    case "auto":
      return undefined;
    case "literal":
      return rewrite.value;
    case "header":
      return head.fields.get(rewrite.header) || undefined;
    case "path-regex":
      return rewrite.regex.replaceAll(pathOnly(head.path), rewrite.substitution);
  }
}

/** Sets the authority, and keeps the former one in `x-forwarded-host` if asked to. */
export function setAuthority(
  head: RequestHead,
  authority: string,
  appendXForwardedHost: boolean,
): void {
  const former = head.authority;
  if (appendXForwardedHost && former !== "") {
    const known = head.fields.get("x-forwarded-host");
    const last = known?.slice(known.lastIndexOf(",") + 1);
    if (known === undefined || known === "") head.fields.set("x-forwarded-host", former);
    else if (last !== former) head.fields.set("x-forwarded-host", `${known},${former}`);
  }
  head.authority = authority;
}
