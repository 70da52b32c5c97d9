/** Authorization by a server outside (wire/waypoint.md section 6.3). */
import type { ResponseHead } from "../../http/message.ts";
import { inFraction, matchesMetadata } from "../../routing/match.ts";
import {
  continueRequest,
  type FilterVerdict,
  type HttpFilter,
  type RequestContext,
} from "../filter.ts";
import type { UpstreamCalls } from "../upstream-calls.ts";
import {
  type AuthzAnswer,
  isChangeable,
  isInvalid,
  type MetadataStruct,
  type RequestChanges,
} from "./answer.ts";
import { askAboutRequest } from "./ask.ts";
import { applyToRequest, applyToResponse, firstInvalid } from "./changes.ts";
import type { SeenBody } from "./check-request.ts";
import type { BodySettings, ExtAuthzConfig } from "./config.ts";

const NAMESPACE = "envoy.filters.http.ext_authz";

export class ExtAuthzFilter implements HttpFilter {
  readonly name: string;
  readonly clusters: readonly string[];
  readonly #config: ExtAuthzConfig;
  readonly #calls: UpstreamCalls;
  /** What answers get once they come. */
  readonly #changes = new WeakMap<RequestContext, RequestChanges>();

  constructor(name: string, config: ExtAuthzConfig, calls: UpstreamCalls) {
    this.name = name;
    this.clusters = [config.service.cluster];
    this.#config = config;
    this.#calls = calls;
  }

  /** Which server this request would be decided by; undefined: it passes unasked. */
  asks(context: RequestContext): string | undefined {
    return isAsked(this.#config, context) ? this.#config.service.cluster : undefined;
  }

  onRequest(context: RequestContext, endStream: boolean): FilterVerdict | Promise<FilterVerdict> {
    return isAsked(this.#config, context) ? this.#ask(context, endStream) : continueRequest;
  }

  onResponse(context: RequestContext, head: ResponseHead): void {
    const changes = this.#changes.get(context);
    if (changes !== undefined) applyToResponse(changes, head);
  }

  async #ask(context: RequestContext, endStream: boolean): Promise<FilterVerdict> {
    const body = await bodyFor(this.#config.body, context, endStream);
    if (body === "too-large") {
      this.#note(context, "denied", "the body is larger than the server may see");
      return {
        kind: "reply",
        reply: {
          status: 413,
          body: "Payload Too Large",
          details: "request_payload_too_large",
          flags: [],
        },
      };
    }
    const answer = await askAboutRequest(this.#config, this.#calls, context, body);
    return this.#conclude(answer, context);
  }

  #conclude(answer: AuthzAnswer, context: RequestContext): FilterVerdict {
    switch (answer.kind) {
      case "ok":
        return this.#allowed(answer.changes, context);
      case "denied":
        return this.#denied(answer, context);
      case "error":
        return this.#failed(answer.reason, context);
    }
  }

  #allowed(changes: RequestChanges, context: RequestContext): FilterVerdict {
    const invalid = firstInvalid(changes);
    if (invalid !== undefined) return this.#invalid(invalid[0], context);
    setMetadata(changes.metadata, context);
    const changed = applyToRequest(changes, context.head);
    if (changed && this.#config.clearRouteCache) context.clearRoute();
    if (changes.responseAdd.length + changes.responseSet.length > 0)
      this.#changes.set(context, changes);
    this.#note(context, "allowed", `${this.#config.service.cluster} allows it`);
    return continueRequest;
  }

  #denied(
    { status, body, headers, metadata }: Extract<AuthzAnswer, { readonly kind: "denied" }>,
    context: RequestContext,
  ): FilterVerdict {
    const invalid = headers.find(isInvalid);
    if (invalid !== undefined) return this.#invalid(invalid[0], context);
    setMetadata(metadata, context);
    this.#note(context, "denied", `${this.#config.service.cluster} answers ${status}`);
    return {
      kind: "reply",
      reply: {
        // A server that denies with a status that is none, or with 1xx, has denied all the same.
        status: status >= 200 && status < 600 ? status : 403,
        body,
        fields: headers.filter(([name]) => isChangeable(name)),
        details: "ext_authz_denied",
        flags: ["UAEX"],
      },
    };
  }

  #failed(reason: string, context: RequestContext): FilterVerdict {
    const { failureModeAllow, failureModeAllowHeader, statusOnError, service } = this.#config;
    if (failureModeAllow) {
      if (failureModeAllowHeader)
        context.head.fields.set("x-envoy-auth-failure-mode-allowed", "true");
      this.#note(context, "failed-open", `${service.cluster} failed (${reason}); failures allow`);
      return continueRequest;
    }
    this.#note(context, "denied", `${service.cluster} failed: ${reason}`);
    return {
      kind: "reply",
      reply: { status: statusOnError, body: "", details: "ext_authz_error", flags: ["UAEX"] },
    };
  }

  /** Not a failure that may allow: the server answered, and what it said must not be carried out. */
  #invalid(name: string, context: RequestContext): FilterVerdict {
    this.#note(context, "denied", `${this.#config.service.cluster} sent a bad header ${name}`);
    return {
      kind: "reply",
      reply: { status: 500, body: "", details: "ext_authz_invalid", flags: ["UAEX"] },
    };
  }

  #note(context: RequestContext, outcome: string, reason: string): void {
    context.note({ filter: this.name, outcome, reason });
  }
}

function isAsked(config: ExtAuthzConfig, context: RequestContext): boolean {
  const { enabled, enabledByMetadata } = config;
  if (enabled !== undefined && !inFraction(enabled, context.random())) return false;
  return enabledByMetadata === undefined || matchesMetadata(enabledByMetadata, context.metadata);
}

/** Undefined: the server sees no body. */
async function bodyFor(
  settings: BodySettings | undefined,
  context: RequestContext,
  endStream: boolean,
): Promise<SeenBody | undefined | "too-large"> {
  if (settings === undefined || endStream || context.head.upgrade !== undefined) return undefined;
  const { bytes, complete } = await context.bufferBody(settings.maxBytes);
  if (!complete && !settings.allowPartial) return "too-large";
  return { bytes: bytes.subarray(0, settings.maxBytes), partial: !complete };
}

function setMetadata(metadata: MetadataStruct | undefined, context: RequestContext): void {
  if (metadata !== undefined) context.setMetadata(NAMESPACE, metadata);
}
