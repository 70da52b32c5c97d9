import { test } from "node:test";
import fc from "fast-check";
import type { ConnectionFacts } from "../../../src/shared/authz/decision.ts";
import { evaluate } from "../../../src/shared/authz/evaluate.ts";
import { whatWouldChange } from "../../../src/shared/authz/explain.ts";
import type { Policy, PolicyMatch, StringMatch } from "../../../src/shared/model/policy.ts";
import { cidrContains, cidrOf } from "../../../src/shared/net/cidr.ts";
import { ipOf } from "../../../src/shared/net/ip.ts";

// Few values, so that policies and connections often meet.
const names = fc.constantFrom("a", "b", "ab");
const ips = fc.constantFrom("10.0.0.1", "10.0.1.1", "fd00::1").map(ipOf);
const ports = fc.constantFrom(80, 443);
const identity = fc.record({
  trustDomain: fc.constantFrom("cluster.local", "other"),
  namespace: names,
  serviceAccount: names,
});
const facts: fc.Arbitrary<ConnectionFacts> = fc.record({
  sourceIp: ips,
  peer: fc.option(identity, { nil: undefined }),
  destinationIp: ips,
  destinationPort: ports,
});

const text = fc.oneof(
  names,
  identity.map((id) => `${id.trustDomain}/ns/${id.namespace}/sa/${id.serviceAccount}`),
);
const stringMatch: fc.Arbitrary<StringMatch> = fc.oneof(
  fc.record({ kind: fc.constantFrom("exact", "prefix", "suffix"), value: text }),
  fc.constant({ kind: "presence" as const }),
);
const cidr = fc
  .tuple(ips, fc.constantFrom(0, 8, 24, 32))
  .map(([ip, length]) => cidrOf(ip, length))
  .filter((made) => made !== undefined);
const few = <T>(item: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constant<T[]>([]) },
    fc.array(item, { minLength: 1, maxLength: 2 }),
  );
const account = fc.record({ namespace: names, serviceAccount: names });
const match: fc.Arbitrary<PolicyMatch> = fc.record({
  namespaces: few(stringMatch),
  notNamespaces: few(stringMatch),
  principals: few(stringMatch),
  notPrincipals: few(stringMatch),
  serviceAccounts: few(account),
  notServiceAccounts: few(account),
  sourceIps: few(cidr),
  notSourceIps: few(cidr),
  destinationIps: few(cidr),
  notDestinationIps: few(cidr),
  destinationPorts: few(ports),
  notDestinationPorts: few(ports),
});
const rule = fc.record({
  clauses: fc.array(fc.record({ matches: fc.array(match, { maxLength: 2 }) }), { maxLength: 2 }),
});
const policy: fc.Arbitrary<Policy> = fc.record({
  name: fc.uuid(),
  namespace: fc.constant("ns"),
  scope: fc.constant("Namespace" as const),
  action: fc.constantFrom("Allow" as const, "Deny" as const),
  rules: fc.array(rule, { maxLength: 2 }),
  dryRun: fc.boolean(),
});
const policies = fc.array(policy, { maxLength: 5 });

function verdict(list: readonly Policy[], on: ConnectionFacts): "allow" | "deny" {
  return evaluate({ policies: list, unknown: [], refused: [] }, on).verdict;
}

const runs = { numRuns: 2000 };

/** The rule language of wire/ztunnel.md section 6 once more, as directly as it can be written. */
function oracle(list: readonly Policy[], on: ConnectionFacts): "allow" | "deny" {
  const id = on.peer;
  const principal = id && `${id.trustDomain}/ns/${id.namespace}/sa/${id.serviceAccount}`;
  const text = (want: StringMatch, value: string | undefined): boolean =>
    value !== undefined &&
    (want.kind === "presence" ||
      (want.kind === "exact" && want.value === value) ||
      (want.kind === "prefix" && value.startsWith(want.value)) ||
      (want.kind === "suffix" && value.endsWith(want.value)));
  const matches = (want: PolicyMatch): boolean => {
    const fields: [number, number, boolean, boolean][] = [];
    const add = <T>(yes: readonly T[], no: readonly T[], is: (item: T) => boolean): void => {
      fields.push([yes.length, no.length, yes.some(is), no.some(is)]);
    };
    add(want.namespaces, want.notNamespaces, (item) => text(item, id?.namespace));
    add(want.principals, want.notPrincipals, (item) => text(item, principal));
    add(
      want.serviceAccounts,
      want.notServiceAccounts,
      (item) => item.namespace === id?.namespace && item.serviceAccount === id.serviceAccount,
    );
    add(want.sourceIps, want.notSourceIps, (item) => cidrContains(item, on.sourceIp));
    add(want.destinationIps, want.notDestinationIps, (item) =>
      cidrContains(item, on.destinationIp),
    );
    add(want.destinationPorts, want.notDestinationPorts, (item) => item === on.destinationPort);
    return (
      fields.some(([yes, no]) => yes + no > 0) &&
      fields.every(([yes, , anyYes, anyNo]) => (yes === 0 || anyYes) && !anyNo)
    );
  };
  const applies = (entry: Policy): boolean =>
    entry.rules.some((one) =>
      one.clauses.every((clause) => clause.matches.length === 0 || clause.matches.some(matches)),
    );
  const enforced = list.filter((entry) => !entry.dryRun);
  if (enforced.some((entry) => entry.action === "Deny" && applies(entry))) return "deny";
  const allows = enforced.filter((entry) => entry.action === "Allow");
  return allows.length === 0 || allows.some(applies) ? "allow" : "deny";
}

test("the compiled and filed policies say what the plain reading says", () => {
  fc.assert(
    fc.property(policies, facts, (list, on) => verdict(list, on) === oracle(list, on)),
    { numRuns: 10_000 },
  );
});

test("the policy that is named is the first in order that matches", () => {
  fc.assert(
    fc.property(policies, facts, (list, on) => {
      const { reason } = evaluate({ policies: list, unknown: [], refused: [] }, on);
      if (reason.kind !== "denied-by") return true;
      const first = list.find(
        (entry) => entry.action === "Deny" && !entry.dryRun && verdict([entry], on) === "deny",
      );
      return `${first?.namespace}/${first?.name}` === reason.hit.policy;
    }),
    runs,
  );
});

test("the order of policies, rules, clauses and matches does not matter", () => {
  const mirrored = (list: readonly Policy[]): Policy[] =>
    list.toReversed().map((entry) => ({
      ...entry,
      rules: entry.rules.toReversed().map(({ clauses }) => ({
        clauses: clauses.toReversed().map(({ matches }) => ({ matches: matches.toReversed() })),
      })),
    }));
  fc.assert(
    fc.property(policies, facts, (list, on) => verdict(list, on) === verdict(mirrored(list), on)),
    runs,
  );
});

test("a DENY policy never grants", () => {
  fc.assert(
    fc.property(policies, policy, facts, (list, extra, on) => {
      if (verdict(list, on) === "allow") return true;
      return verdict([...list, { ...extra, action: "Deny" }], on) === "deny";
    }),
    runs,
  );
});

test("once an ALLOW policy applies, another one never takes access away", () => {
  fc.assert(
    fc.property(policies, policy, facts, (list, extra, on) => {
      if (!list.some((entry) => entry.action === "Allow" && !entry.dryRun)) return true;
      if (verdict(list, on) === "deny") return true;
      return verdict([...list, { ...extra, action: "Allow" }], on) === "allow";
    }),
    runs,
  );
});

test("the first ALLOW policy makes deny the default: one that never matches shuts everybody out", () => {
  fc.assert(
    fc.property(policies, policy, facts, (list, first, on) => {
      const denies = list.filter((entry) => entry.action === "Deny");
      const closed: Policy = { ...first, action: "Allow", dryRun: false, rules: [] };
      return verdict([...denies, closed], on) === "deny";
    }),
    runs,
  );
});

test("dry-run policies never change the verdict", () => {
  fc.assert(
    fc.property(policies, facts, (list, on) => {
      return (
        verdict(list, on) ===
        verdict(
          list.filter((entry) => !entry.dryRun),
          on,
        )
      );
    }),
    runs,
  );
});

test("without an identity nothing that asks for one lets in", () => {
  fc.assert(
    fc.property(policies, match, facts, (list, needed, on) => {
      const asks = { ...needed, principals: [{ kind: "presence" as const }] };
      const only: Policy = {
        name: "p",
        namespace: "ns",
        scope: "Namespace",
        action: "Allow",
        dryRun: false,
        rules: [{ clauses: [{ matches: [asks] }] }],
      };
      const denies = list.filter((entry) => entry.action === "Deny");
      return verdict([...denies, only], { ...on, peer: undefined }) === "deny";
    }),
    runs,
  );
});

test("every alternative that is offered turns the verdict around", () => {
  fc.assert(
    fc.property(policies, facts, (list, on) => {
      const decision = evaluate({ policies: list, unknown: [], refused: [] }, on);
      return whatWouldChange(decision).every(
        (other) => other.decision.verdict !== decision.verdict,
      );
    }),
    { numRuns: 300 },
  );
});
