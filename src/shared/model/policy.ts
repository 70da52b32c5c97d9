/**
 * L4 authorization policies as plain data, decoded from `istio.security.Authorization` (wire/ztunnel.md section 1.8).
 * Reading: rules are OR, clauses of a rule AND, matches of a clause OR, fields of a match AND (section 6).
 */
import type { Cidr } from "../net/cidr.ts";

export type StringMatch =
  | { readonly kind: "exact"; readonly value: string }
  | { readonly kind: "prefix"; readonly value: string }
  | { readonly kind: "suffix"; readonly value: string }
  /** Any non-empty value. */
  | { readonly kind: "presence" };

export interface ServiceAccountMatch {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** A positive list matches when any value does, a `not` list when none does; an empty list does not count. */
export interface PolicyMatch {
  readonly namespaces: readonly StringMatch[];
  readonly notNamespaces: readonly StringMatch[];
  readonly principals: readonly StringMatch[];
  readonly notPrincipals: readonly StringMatch[];
  readonly serviceAccounts: readonly ServiceAccountMatch[];
  readonly notServiceAccounts: readonly ServiceAccountMatch[];
  readonly sourceIps: readonly Cidr[];
  readonly notSourceIps: readonly Cidr[];
  readonly destinationIps: readonly Cidr[];
  readonly notDestinationIps: readonly Cidr[];
  readonly destinationPorts: readonly number[];
  readonly notDestinationPorts: readonly number[];
}

export interface PolicyClause {
  readonly matches: readonly PolicyMatch[];
}

export interface PolicyRule {
  readonly clauses: readonly PolicyClause[];
}

export interface Policy {
  readonly name: string;
  readonly namespace: string;
  readonly scope: "Global" | "Namespace" | "WorkloadSelector";
  readonly action: "Allow" | "Deny";
  readonly rules: readonly PolicyRule[];
  /** Evaluated and reported, never enforced. */
  readonly dryRun: boolean;
}

/** `namespace/name`. */
export function policyKey(policy: Pick<Policy, "namespace" | "name">): string {
  return `${policy.namespace}/${policy.name}`;
}
