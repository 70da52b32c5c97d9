/** Matches of policies by what they name. */
import type { PolicyMatch } from "./policy.ts";

/** All lists empty. Such a match never matches; it stands where an attribute could not be expressed. */
export const emptyMatch: PolicyMatch = {
  namespaces: [],
  notNamespaces: [],
  principals: [],
  notPrincipals: [],
  serviceAccounts: [],
  notServiceAccounts: [],
  sourceIps: [],
  notSourceIps: [],
  destinationIps: [],
  notDestinationIps: [],
  destinationPorts: [],
  notDestinationPorts: [],
};

export function matchOf(parts: Partial<PolicyMatch>): PolicyMatch {
  return { ...emptyMatch, ...parts };
}

export function isEmptyMatch(match: PolicyMatch): boolean {
  return Object.values(match).every((list: readonly unknown[]) => list.length === 0);
}
