/** A policy in a static configuration: rules are lists of clauses, clauses lists of matches. */
import type { Policy, PolicyMatch, StringMatch } from "../model/policy.ts";
import {
  anything,
  boolean,
  defaulted,
  integer,
  list,
  object,
  oneOf,
  optional,
  required,
  type Schema,
  string,
} from "../objects/schema.ts";
import { cidr, made } from "./local-fields.ts";

const whatStringMatch = 'one of {"Exact": s}, {"Prefix": s}, {"Suffix": s}, {"Presence": []}';
const stringMatch: Schema<StringMatch> = made(
  object({
    Exact: optional(string),
    Prefix: optional(string),
    Suffix: optional(string),
    Presence: optional(anything),
  }),
  whatStringMatch,
  (given): StringMatch | undefined => {
    const kinds: StringMatch[] = [];
    if (given.Exact !== undefined) kinds.push({ kind: "exact", value: given.Exact });
    if (given.Prefix !== undefined) kinds.push({ kind: "prefix", value: given.Prefix });
    if (given.Suffix !== undefined) kinds.push({ kind: "suffix", value: given.Suffix });
    if (given.Presence !== undefined) kinds.push({ kind: "presence" });
    return kinds.length === 1 ? kinds[0] : undefined;
  },
);

const account = object({ namespace: required(string), serviceAccount: required(string) });
const ports = defaulted(list(integer(0, 2 ** 32 - 1)), []);
const strings = defaulted(list(stringMatch), []);
const accounts = defaulted(list(account), []);
const prefixes = defaulted(list(cidr), []);

const match: Schema<PolicyMatch> = object({
  namespaces: strings,
  notNamespaces: strings,
  principals: strings,
  notPrincipals: strings,
  serviceAccounts: accounts,
  notServiceAccounts: accounts,
  sourceIps: prefixes,
  notSourceIps: prefixes,
  destinationIps: prefixes,
  notDestinationIps: prefixes,
  destinationPorts: ports,
  notDestinationPorts: ports,
});

export const localPolicy: Schema<Policy> = made(
  object({
    name: required(string),
    namespace: required(string),
    scope: required(oneOf("Global", "Namespace", "WorkloadSelector")),
    action: required(oneOf("Allow", "Deny")),
    rules: defaulted(list(list(list(match))), []),
    dryRun: defaulted(boolean, false),
  }),
  "a policy",
  ({ rules, ...rest }): Policy => ({
    ...rest,
    rules: rules.map((clauses) => ({ clauses: clauses.map((matches) => ({ matches })) })),
  }),
);
