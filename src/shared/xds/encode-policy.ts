/** Policies → wire. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { Policy, PolicyMatch, StringMatch } from "../model/policy.ts";
import type { Cidr } from "../net/cidr.ts";
import {
  Action,
  type AddressSchema,
  AuthorizationSchema,
  type MatchSchema,
  Scope,
  type StringMatchSchema,
} from "../wire/gen/istio/security/authorization_pb.js";

const scopes: Readonly<Record<Policy["scope"], Scope>> = {
  Global: Scope.GLOBAL,
  Namespace: Scope.NAMESPACE,
  WorkloadSelector: Scope.WORKLOAD_SELECTOR,
};

export function encodePolicy(policy: Policy): Uint8Array {
  const message = create(AuthorizationSchema, {
    name: policy.name,
    namespace: policy.namespace,
    scope: scopes[policy.scope],
    action: policy.action === "Deny" ? Action.DENY : Action.ALLOW,
    rules: policy.rules.map(({ clauses }) => ({
      clauses: clauses.map(({ matches }) => ({ matches: matches.map(matchShape) })),
    })),
    dryRun: policy.dryRun,
  });
  return toBinary(AuthorizationSchema, message);
}

function matchShape(match: PolicyMatch): MessageInitShape<typeof MatchSchema> {
  return {
    namespaces: match.namespaces.map(stringShape),
    notNamespaces: match.notNamespaces.map(stringShape),
    principals: match.principals.map(stringShape),
    notPrincipals: match.notPrincipals.map(stringShape),
    serviceAccounts: match.serviceAccounts.map((account) => ({ ...account })),
    notServiceAccounts: match.notServiceAccounts.map((account) => ({ ...account })),
    sourceIps: match.sourceIps.map(cidrShape),
    notSourceIps: match.notSourceIps.map(cidrShape),
    destinationIps: match.destinationIps.map(cidrShape),
    notDestinationIps: match.notDestinationIps.map(cidrShape),
    destinationPorts: [...match.destinationPorts],
    notDestinationPorts: [...match.notDestinationPorts],
  };
}

function stringShape(match: StringMatch): MessageInitShape<typeof StringMatchSchema> {
  switch (match.kind) {
    case "exact":
      return { matchType: { case: "exact", value: match.value } };
    case "prefix":
      return { matchType: { case: "prefix", value: match.value } };
    case "suffix":
      return { matchType: { case: "suffix", value: match.value } };
    case "presence":
      return { matchType: { case: "presence", value: {} } };
  }
}

function cidrShape(cidr: Cidr): MessageInitShape<typeof AddressSchema> {
  return { address: cidr.bytes, length: cidr.prefixLength };
}
