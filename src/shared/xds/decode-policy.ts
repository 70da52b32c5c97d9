/**
 * `istio.security.Authorization` to the model (wire/ztunnel.md sections 1.5 and 1.8).
 *
 * The reference drops items of a match that it cannot read (an address of impossible length, a string match of unknown
 * kind) and goes on. That can widen access, so here an item is dropped only where the rest is at least as strict: from a
 * positive list of an ALLOW policy while the list does not become empty (an empty list would count as "any"), and from a
 * `not` list of a DENY policy while the match does not become empty (an empty match never matches). Everywhere else, and for fields or
 * extensions we have never heard of inside a rule, the whole policy is refused.
 */
import type {
  Policy,
  PolicyClause,
  PolicyMatch,
  PolicyRule,
  ServiceAccountMatch,
  StringMatch,
} from "../model/policy.ts";
import type { Cidr } from "../net/cidr.ts";
import {
  Action,
  Scope,
  type Address as WireAddress,
  type Authorization as WireAuthorization,
  type Clause as WireClause,
  type Match as WireMatch,
  type Rule as WireRule,
  type ServiceAccountMatch as WireServiceAccountMatch,
  type StringMatch as WireStringMatch,
} from "../wire/gen/istio/security/authorization_pb.js";
import { DecodeError, decodeEnum, prefixOf } from "./decode-common.ts";

export const policyScopes: Readonly<Record<number, Policy["scope"]>> = {
  [Scope.GLOBAL]: "Global",
  [Scope.NAMESPACE]: "Namespace",
  [Scope.WORKLOAD_SELECTOR]: "WorkloadSelector",
};

const actions: Readonly<Record<number, Policy["action"]>> = {
  [Action.ALLOW]: "Allow",
  [Action.DENY]: "Deny",
};

export interface DecodedPolicy {
  readonly policy: Policy;
  /** Items that were dropped, for the log. */
  readonly warnings: readonly string[];
}

export function decodePolicy(wire: WireAuthorization): DecodedPolicy {
  const path = "authorization";
  const action = decodeEnum(actions, wire.action, `${path}.action`);
  const context: Context = { action, warnings: [] };
  const policy: Policy = {
    name: wire.name,
    namespace: wire.namespace,
    scope: decodeEnum(policyScopes, wire.scope, `${path}.scope`),
    action,
    rules: wire.rules.map((rule, i) => decodeRule(rule, `${path}.rules[${i}]`, context)),
    dryRun: wire.dryRun,
  };
  return { policy, warnings: context.warnings };
}

interface Context {
  readonly action: Policy["action"];
  readonly warnings: string[];
}

function refuseUnknownFields(message: WireRule | WireClause | WireMatch, path: string): void {
  const [unknown] = message.$unknown ?? [];
  if (unknown !== undefined) throw new DecodeError(path, `unknown field number ${unknown.no}`);
}

function decodeRule(rule: WireRule, path: string, context: Context): PolicyRule {
  refuseUnknownFields(rule, path);
  return {
    clauses: rule.clauses.map((clause, i) =>
      decodeClause(clause, `${path}.clauses[${i}]`, context),
    ),
  };
}

function decodeClause(clause: WireClause, path: string, context: Context): PolicyClause {
  refuseUnknownFields(clause, path);
  return {
    matches: clause.matches.map((match, i) => decodeMatch(match, `${path}.matches[${i}]`, context)),
  };
}

function decodeMatch(match: WireMatch, path: string, context: Context): PolicyMatch {
  refuseUnknownFields(match, path);
  if (match.extensions.length > 0)
    throw new DecodeError(
      `${path}.extensions`,
      `unknown extension "${match.extensions[0]?.name ?? ""}"`,
    );
  const list = <W, T>(
    field: string,
    items: readonly W[],
    decode: (item: W) => T | undefined,
  ): readonly T[] => decodeList(items, decode, field, path, context);
  const strings = (field: string, items: readonly WireStringMatch[]): readonly StringMatch[] =>
    list(field, items, decodeStringMatch);
  const prefixes = (field: string, items: readonly WireAddress[]): readonly Cidr[] =>
    list(field, items, decodePrefix);
  const decoded: PolicyMatch = {
    namespaces: strings("namespaces", match.namespaces),
    notNamespaces: strings("not_namespaces", match.notNamespaces),
    principals: strings("principals", match.principals),
    notPrincipals: strings("not_principals", match.notPrincipals),
    serviceAccounts: match.serviceAccounts.map(decodeServiceAccount),
    notServiceAccounts: match.notServiceAccounts.map(decodeServiceAccount),
    sourceIps: prefixes("source_ips", match.sourceIps),
    notSourceIps: prefixes("not_source_ips", match.notSourceIps),
    destinationIps: prefixes("destination_ips", match.destinationIps),
    notDestinationIps: prefixes("not_destination_ips", match.notDestinationIps),
    // Not cut to 16 bits: a port that cannot exist matches nothing, rather than another port.
    destinationPorts: match.destinationPorts,
    notDestinationPorts: match.notDestinationPorts,
  };
  if (isEmpty(decoded) && hadItems(match))
    throw new DecodeError(path, "nothing is left of the match once unreadable items are dropped");
  return decoded;
}

function decodeList<W, T>(
  items: readonly W[],
  decode: (item: W) => T | undefined,
  field: string,
  path: string,
  context: Context,
): readonly T[] {
  const decoded: T[] = [];
  const positive = !field.startsWith("not_");
  items.forEach((item, i) => {
    const value = decode(item);
    if (value !== undefined) {
      decoded.push(value);
      return;
    }
    const at = `${path}.${field}[${i}]`;
    if (positive !== (context.action === "Allow"))
      throw new DecodeError(at, "cannot be read, and without it the policy would be weaker");
    context.warnings.push(`${at}: cannot be read, dropped`);
  });
  if (positive && items.length > 0 && decoded.length === 0)
    throw new DecodeError(`${path}.${field}`, "no item can be read");
  return decoded;
}

function decodeStringMatch(wire: WireStringMatch): StringMatch | undefined {
  const { matchType } = wire;
  switch (matchType.case) {
    case "exact":
    case "prefix":
    case "suffix":
      return { kind: matchType.case, value: matchType.value };
    case "presence":
      return { kind: "presence" };
    case undefined:
      return undefined;
  }
}

function decodePrefix(wire: WireAddress): Cidr | undefined {
  return prefixOf(wire.address, wire.length);
}

function decodeServiceAccount(wire: WireServiceAccountMatch): ServiceAccountMatch {
  return { namespace: wire.namespace, serviceAccount: wire.serviceAccount };
}

function isEmpty(match: PolicyMatch): boolean {
  return Object.values(match).every((list) => (list as readonly unknown[]).length === 0);
}

function hadItems(match: WireMatch): boolean {
  return [
    match.notNamespaces,
    match.notPrincipals,
    match.notSourceIps,
    match.notDestinationIps,
  ].some((list) => list.length > 0);
}
