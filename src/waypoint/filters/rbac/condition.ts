/** Permissions and principals of RBAC as one kind of plain data: both ask something of a request or connection. */
import type { Cidr } from "../../../shared/net/cidr.ts";
import type { HeaderMatcher, MetadataMatcher, StringMatcher } from "../../model/matchers.ts";
import type { UriTemplate } from "../../model/route.ts";

export type Condition =
  | { readonly kind: "any" }
  | { readonly kind: "never" }
  | { readonly kind: "and"; readonly of: readonly Condition[] }
  | { readonly kind: "or"; readonly of: readonly Condition[] }
  | { readonly kind: "not"; readonly of: Condition }
  | HttpCondition
  | { readonly kind: "destination-ip"; readonly cidr: Cidr }
  /** `end` is outside. */
  | { readonly kind: "destination-port"; readonly start: number; readonly end: number }
  | { readonly kind: "server-name"; readonly matcher: StringMatcher }
  | { readonly kind: "metadata"; readonly matcher: MetadataMatcher }
  /** Filter state io.istio.peer_principal: the SPIFFE id of the tunnel's client. */
  | { readonly kind: "peer-principal"; readonly matcher: StringMatcher }
  /** Envoy's `authenticated`: the same id; without a matcher any certificate will do. */
  | { readonly kind: "authenticated"; readonly matcher: StringMatcher | undefined }
  | { readonly kind: "source-ip"; readonly cidr: Cidr }
  /** As X-Forwarded-For ends with it; without that header, and for connections, the source address. */
  | { readonly kind: "remote-ip"; readonly cidr: Cidr };

/** What only a request has. */
export type HttpCondition =
  | { readonly kind: "header"; readonly matcher: HeaderMatcher }
  /** Without query and fragment. */
  | { readonly kind: "path"; readonly matcher: StringMatcher }
  | { readonly kind: "path-template"; readonly template: UriTemplate };

const ANY: Condition = { kind: "any" };
const NEVER: Condition = { kind: "never" };

export function allOf(conditions: readonly Condition[]): Condition {
  const kept = conditions.filter((each) => each.kind !== "any");
  if (kept.some((each) => each.kind === "never")) return NEVER;
  return single(kept) ?? (kept.length === 0 ? ANY : { kind: "and", of: kept });
}

export function oneOf(conditions: readonly Condition[]): Condition {
  const kept = conditions.filter((each) => each.kind !== "never");
  if (kept.some((each) => each.kind === "any")) return ANY;
  return single(kept) ?? (kept.length === 0 ? NEVER : { kind: "or", of: kept });
}

export function noneOf(condition: Condition): Condition {
  if (condition.kind === "any") return NEVER;
  if (condition.kind === "never") return ANY;
  return condition.kind === "not" ? condition.of : { kind: "not", of: condition };
}

function single(conditions: readonly Condition[]): Condition | undefined {
  return conditions.length === 1 ? conditions[0] : undefined;
}

/**
 * The condition for a connection, where nothing is known of a request: every HTTP condition is given the answer that is
 * `assumed` for the whole, so that a policy that allows does not match and a policy that denies does.
 */
export function withoutHttp(condition: Condition, assumed: boolean): Condition {
  switch (condition.kind) {
    case "header":
    case "path":
    case "path-template":
      return assumed ? ANY : NEVER;
    case "and":
      return allOf(condition.of.map((each) => withoutHttp(each, assumed)));
    case "or":
      return oneOf(condition.of.map((each) => withoutHttp(each, assumed)));
    case "not":
      return noneOf(withoutHttp(condition.of, !assumed));
    case "any":
    case "never":
    case "destination-ip":
    case "destination-port":
    case "server-name":
    case "metadata":
    case "peer-principal":
    case "authenticated":
    case "source-ip":
    case "remote-ip":
      return condition;
  }
}
