/**
 * What would change the outcome. Alternatives are taken from the policies themselves (the identities, namespaces, ports and
 * prefixes they name), one fact is changed at a time, and the evaluator judges again: nothing is claimed that it would not do.
 */
import { parseSpiffe, type SpiffeIdentity, spiffePrincipal } from "../identity/spiffe.ts";
import { type Policy, type PolicyMatch, policyKey, type StringMatch } from "../model/policy.ts";
import { type Cidr, cidrContains } from "../net/cidr.ts";
import { type IpAddress, ipOf } from "../net/ip.ts";
import type { ConnectionFacts, PolicyDecision } from "./decision.ts";
import { evaluate } from "./evaluate.ts";

export type Change =
  | { readonly kind: "identity"; readonly peer: SpiffeIdentity | undefined }
  | { readonly kind: "source-ip"; readonly ip: IpAddress }
  | { readonly kind: "destination-port"; readonly port: number }
  /** Without this policy (or, for a refused one, with a version that can be understood). */
  | { readonly kind: "policy"; readonly policy: string };

export interface Alternative {
  readonly change: Change;
  /** Words for a person. */
  readonly text: string;
  /** The decision that the evaluator makes then; its verdict is the opposite. */
  readonly decision: PolicyDecision;
}

/** Evaluations are bounded, however many values the policies name. */
const MAX_TRIALS = 256;

function identitiesOf(match: PolicyMatch, facts: ConnectionFacts): SpiffeIdentity[] {
  const base = facts.peer ?? {
    trustDomain: "cluster.local",
    namespace: "default",
    serviceAccount: "default",
  };
  const exact = (list: readonly StringMatch[]): string[] =>
    list.flatMap((item) => (item.kind === "exact" ? [item.value] : []));
  return [
    ...exact([...match.principals, ...match.notPrincipals]).flatMap(
      (text) => parseSpiffe(`spiffe://${text}`) ?? [],
    ),
    ...exact([...match.namespaces, ...match.notNamespaces]).map((namespace) => ({
      ...base,
      namespace,
    })),
    ...[...match.serviceAccounts, ...match.notServiceAccounts].map((account) => ({
      trustDomain: base.trustDomain,
      ...account,
    })),
  ];
}

/** An address outside all the prefixes, from the ranges that documentation reserves. */
function outsider(prefixes: readonly Cidr[]): IpAddress | undefined {
  return ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"]
    .map(ipOf)
    .find((ip) => !prefixes.some((cidr) => cidrContains(cidr, ip)));
}

/** Nobody in particular: what is true for it is true for whoever the policies do not name. */
const stranger: SpiffeIdentity = {
  trustDomain: "cluster.local",
  namespace: "some-other-namespace",
  serviceAccount: "some-other-account",
};

function* changesOf(policies: readonly Policy[], facts: ConnectionFacts): Generator<Change> {
  const matches = policies.flatMap((policy) =>
    policy.rules.flatMap((rule) => rule.clauses.flatMap((clause) => clause.matches)),
  );
  const meshed = facts.peer !== undefined;
  yield { kind: "identity", peer: meshed ? undefined : stranger };
  for (const match of matches) {
    for (const peer of identitiesOf(match, facts)) yield { kind: "identity", peer };
    for (const port of [...match.destinationPorts, ...match.notDestinationPorts])
      yield { kind: "destination-port", port };
    const prefixes = [...match.sourceIps, ...match.notSourceIps];
    for (const cidr of prefixes) yield { kind: "source-ip", ip: cidr.ip };
    const ip = prefixes.length > 0 ? outsider(prefixes) : undefined;
    if (ip !== undefined) yield { kind: "source-ip", ip };
  }
  if (meshed) yield { kind: "identity", peer: stranger };
}

function apply(facts: ConnectionFacts, change: Change): ConnectionFacts {
  switch (change.kind) {
    case "identity":
      return { ...facts, peer: change.peer };
    case "source-ip":
      return { ...facts, sourceIp: change.ip };
    case "destination-port":
      return { ...facts, destinationPort: change.port };
    case "policy":
      return facts;
  }
}

function textOf(change: Change, decision: PolicyDecision): string {
  const then = decision.verdict === "allow" ? "it would be allowed" : "it would be denied";
  switch (change.kind) {
    case "identity":
      if (change.peer === undefined) return `in plaintext, without an identity, ${then}`;
      return change.peer === stranger
        ? `as another identity of the mesh, ${then}`
        : `as ${spiffePrincipal(change.peer)}, ${then}`;
    case "source-ip":
      return `from ${change.ip}, ${then}`;
    case "destination-port":
      return `to port ${change.port}, ${then}`;
    case "policy":
      return `without ${change.policy}, ${then}`;
  }
}

/** The same decision as if one policy did not exist, for each policy that could be the reason. */
function* withoutPolicies(decision: PolicyDecision): Generator<Alternative> {
  const { candidates, facts } = decision;
  const { reason } = decision;
  const suspects: string[] = [];
  if (reason.kind === "denied-by" || reason.kind === "allowed-by") suspects.push(reason.hit.policy);
  if (reason.kind === "policy-refused") suspects.push(reason.policy);
  if (reason.kind === "no-allow-matched" && reason.allowPolicies.length === 1)
    suspects.push(...reason.allowPolicies);
  for (const policy of suspects) {
    const change: Change = { kind: "policy", policy };
    const other = evaluate(
      {
        ...candidates,
        policies: candidates.policies.filter((held) => policyKey(held) !== policy),
        refused: candidates.refused.filter((held) => policyKey(held) !== policy),
      },
      facts,
    );
    yield { change, text: textOf(change, other), decision: other };
  }
}

/** Single changes that turn the verdict around, each verified; the same text never twice. */
export function whatWouldChange(decision: PolicyDecision, limit = 8): Alternative[] {
  const found = new Map<string, Alternative>();
  for (const alternative of withoutPolicies(decision))
    if (alternative.decision.verdict !== decision.verdict) found.set(alternative.text, alternative);
  let trials = 0;
  const enforced = decision.candidates.policies.filter((policy) => !policy.dryRun);
  for (const change of changesOf(enforced, decision.facts)) {
    if (found.size >= limit || ++trials > MAX_TRIALS) break;
    const other = evaluate(decision.candidates, apply(decision.facts, change));
    if (other.verdict === decision.verdict) continue;
    const text = textOf(change, other);
    if (!found.has(text)) found.set(text, { change, text, decision: other });
  }
  return [...found.values()];
}
