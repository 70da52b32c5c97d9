/** Cross-origin resource sharing, answered for the route's service (Fetch standard, section 3.2). */

import type { LocalReply, ResponseHead } from "../../http/message.ts";
import { inFraction, matchesString } from "../../routing/match.ts";
import {
  continueRequest,
  type FilterDecision,
  type FilterVerdict,
  type HttpFilter,
  type RequestContext,
} from "../filter.ts";
import { perRoute } from "../per-route.ts";
import type { CorsPolicy } from "./policy.ts";

export class CorsFilter implements HttpFilter {
  readonly name: string;
  /** Requests whose answers get headers: those of an allowed origin. */
  readonly #granted = new WeakMap<
    RequestContext,
    { readonly origin: string; readonly policy: CorsPolicy }
  >();

  constructor(name: string) {
    this.name = name;
  }

  onRequest(context: RequestContext): FilterVerdict {
    const { head } = context;
    const origin = head.fields.get("origin");
    // Looked at before the route is asked for: most requests are not of browsers.
    if (origin === undefined || origin === "") return continueRequest;
    const policy = perRoute(context.route, this.name, "cors")?.cors;
    if (policy === undefined || !isEnabled(policy, context)) return continueRequest;
    const allowed = policy.allowOrigins.some((matcher) => matchesOrigin(matcher, origin));
    if (allowed) this.#granted.set(context, { origin, policy });
    if (!isPreflight(context)) return continueRequest;
    if (allowed) {
      context.note(this.#decision("preflight-answered", `origin ${origin} is allowed`));
      return { kind: "reply", reply: preflightReply(policy, origin, context) };
    }
    if (policy.forwardNotMatchingPreflights) return continueRequest;
    context.note(this.#decision("preflight-answered", `origin ${origin} is not allowed`));
    return { kind: "reply", reply: preflightReply(policy, undefined, context) };
  }

  onResponse(context: RequestContext, head: ResponseHead): void {
    const granted = this.#granted.get(context);
    if (granted === undefined) return;
    const { origin, policy } = granted;
    head.fields.set("access-control-allow-origin", origin);
    if (policy.allowCredentials) head.fields.set("access-control-allow-credentials", "true");
    if (policy.exposeHeaders !== "")
      head.fields.set("access-control-expose-headers", policy.exposeHeaders);
  }

  #decision(outcome: string, reason: string): FilterDecision {
    return { filter: this.name, outcome, reason };
  }
}

function isEnabled(policy: CorsPolicy, context: RequestContext): boolean {
  return policy.enabled === undefined || inFraction(policy.enabled, context.random());
}

/** An exact `*` stands for every origin. */
function matchesOrigin(matcher: CorsPolicy["allowOrigins"][number], origin: string): boolean {
  return (matcher.kind === "exact" && matcher.value === "*") || matchesString(matcher, origin);
}

function isPreflight({ head }: RequestContext): boolean {
  if (head.method !== "OPTIONS") return false;
  const requested = head.fields.get("access-control-request-method");
  return requested !== undefined && requested !== "";
}

/** Without an allowed origin nothing else in it counts for a browser. */
function preflightReply(
  policy: CorsPolicy,
  origin: string | undefined,
  context: RequestContext,
): LocalReply {
  const fields: (readonly [string, string])[] = [];
  const add = (name: string, value: string): void => {
    if (value !== "") fields.push([`access-control-${name}`, value]);
  };
  const asksPrivate = context.head.fields.get("access-control-request-private-network") === "true";
  add("allow-origin", origin ?? "");
  add("allow-credentials", policy.allowCredentials ? "true" : "");
  add("allow-methods", policy.allowMethods);
  add("allow-headers", policy.allowHeaders);
  add("max-age", policy.maxAge);
  // Of no use to a preflight, but the reference's answers have it.
  add("expose-headers", origin === undefined ? "" : policy.exposeHeaders);
  add("allow-private-network", policy.allowPrivateNetwork && asksPrivate ? "true" : "");
  return { status: 200, body: "", fields, details: "cors_response", flags: [] };
}
