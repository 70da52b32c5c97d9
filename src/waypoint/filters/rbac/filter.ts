/** Authorization by policies, for requests and for connections (wire/waypoint.md section 6.2). */
import type { LocalReply } from "../../http/message.ts";
import {
  type ConnectionContext,
  type ConnectionVerdict,
  continueRequest,
  type FilterVerdict,
  type HttpFilter,
  type NetworkFilter,
  type RequestContext,
} from "../filter.ts";
import { Enforcement, Shadow } from "./decisions.ts";
import type { RbacEngines } from "./engine.ts";

/** Where LOG puts its hint for access logs. */
const COMMON_NAMESPACE = "envoy.common";

abstract class RbacFilter {
  readonly name: string;
  readonly #enforcement: Enforcement | undefined;
  readonly #shadow: Shadow | undefined;
  /** Under which dynamic metadata stands: Envoy's name of the filter, whatever this one is called. */
  readonly #namespace: string;

  constructor(name: string, namespace: string, engines: RbacEngines) {
    this.name = name;
    this.#namespace = namespace;
    const { rules, shadow, shadowPrefix, counters } = engines;
    this.#enforcement =
      rules === undefined ? undefined : new Enforcement(rules, name, counters.rules);
    this.#shadow =
      shadow === undefined ? undefined : new Shadow(shadow, shadowPrefix, name, counters.shadow);
  }

  /** Undefined: go on. Otherwise the denial's details. */
  protected denial(context: RequestContext | ConnectionContext): string | undefined {
    if (this.#shadow !== undefined) {
      const { decision, metadata } = this.#shadow.rule(context);
      context.note(decision);
      if (metadata !== undefined) context.setMetadata(this.#namespace, metadata);
    }
    if (this.#enforcement === undefined) return undefined;
    const { outcome, decision, metadata } = this.#enforcement.rule(context);
    context.note(decision);
    if (metadata !== undefined) context.setMetadata(COMMON_NAMESPACE, metadata);
    return outcome.allowed ? undefined : deniedDetails(outcome.policy?.id ?? "none");
  }
}

export class HttpRbacFilter extends RbacFilter implements HttpFilter {
  constructor(name: string, engines: RbacEngines) {
    super(name, "envoy.filters.http.rbac", engines);
  }

  onRequest(context: RequestContext): FilterVerdict {
    const details = this.denial(context);
    return details === undefined ? continueRequest : { kind: "reply", reply: denied(details) };
  }
}

export class NetworkRbacFilter extends RbacFilter implements NetworkFilter {
  constructor(name: string, engines: RbacEngines) {
    super(name, "envoy.filters.network.rbac", engines);
  }

  onConnection(context: ConnectionContext): ConnectionVerdict {
    const details = this.denial(context);
    return details === undefined ? continueConnection : { kind: "close", flags: [], details };
  }
}

const continueConnection: ConnectionVerdict = { kind: "continue" };

function denied(details: string): LocalReply {
  return { status: 403, body: "RBAC: access denied", details, flags: [] };
}

/** White space would break the columns of the access log. */
function deniedDetails(policyId: string): string {
  return `rbac_access_denied_matched_policy[${policyId.replaceAll(/\s/g, "_")}]`;
}
