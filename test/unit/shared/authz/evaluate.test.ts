import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ConnectionFacts } from "../../../../src/shared/authz/decision.ts";
import { evaluate } from "../../../../src/shared/authz/evaluate.ts";
import { whatWouldChange } from "../../../../src/shared/authz/explain.ts";
import { describeDecision, logLines, reasonText } from "../../../../src/shared/authz/trail.ts";
import type { ApplicablePolicies } from "../../../../src/shared/model/mesh-view.ts";
import type { Policy, PolicyMatch, PolicyRule } from "../../../../src/shared/model/policy.ts";
import { type Cidr, parseCidr } from "../../../../src/shared/net/cidr.ts";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { makeMatch, makePolicy, makeRule } from "../../../support/mesh-builders.ts";

const facts: ConnectionFacts = {
  sourceIp: ipOf("10.1.2.3"),
  peer: { trustDomain: "cluster.local", namespace: "shop", serviceAccount: "web" },
  destinationIp: ipOf("10.2.0.9"),
  destinationPort: 8080,
};
const plaintext: ConnectionFacts = { ...facts, peer: undefined };

function of(...policies: Policy[]): ApplicablePolicies {
  return { policies, unknown: [], refused: [] };
}

function cidrs(...texts: string[]): Cidr[] {
  return texts.flatMap((text) => parseCidr(text) ?? []);
}

/** Whether an ALLOW policy with this one rule lets the connection in. */
function allows(rule: PolicyRule, on: ConnectionFacts = facts): boolean {
  return evaluate(of(makePolicy("p", { rules: [rule] })), on).verdict === "allow";
}

describe("one field of a match", () => {
  const presence = { kind: "presence" } as const;
  const exact = (value: string) => ({ kind: "exact", value }) as const;
  const prefix = (value: string) => ({ kind: "prefix", value }) as const;
  const suffix = (value: string) => ({ kind: "suffix", value }) as const;
  type Row = [Partial<PolicyMatch>, withIdentity: boolean, inPlaintext: boolean];
  const rows: readonly Row[] = [
    [{ namespaces: [exact("shop")] }, true, false],
    [{ namespaces: [exact("other"), exact("shop")] }, true, false],
    [{ namespaces: [exact("other")] }, false, false],
    [{ namespaces: [prefix("sh")] }, true, false],
    [{ namespaces: [prefix("op")] }, false, false],
    [{ namespaces: [suffix("op")] }, true, false],
    [{ namespaces: [suffix("sh")] }, false, false],
    [{ namespaces: [presence] }, true, false],
    [{ notNamespaces: [exact("shop")] }, false, true],
    [{ notNamespaces: [exact("other")] }, true, true],
    [{ notNamespaces: [exact("other"), prefix("sh")] }, false, true],
    [{ principals: [exact("cluster.local/ns/shop/sa/web")] }, true, false],
    [{ principals: [exact("spiffe://cluster.local/ns/shop/sa/web")] }, false, false],
    [{ principals: [prefix("cluster.local/ns/shop/")] }, true, false],
    [{ principals: [suffix("/sa/web")] }, true, false],
    [{ principals: [presence] }, true, false],
    [{ notPrincipals: [presence] }, false, true],
    [{ notPrincipals: [exact("cluster.local/ns/shop/sa/web")] }, false, true],
    [{ notPrincipals: [exact("cluster.local/ns/shop/sa/other")] }, true, true],
    [{ serviceAccounts: [{ namespace: "shop", serviceAccount: "web" }] }, true, false],
    [{ serviceAccounts: [{ namespace: "other", serviceAccount: "web" }] }, false, false],
    [{ notServiceAccounts: [{ namespace: "shop", serviceAccount: "web" }] }, false, true],
    [{ notServiceAccounts: [{ namespace: "shop", serviceAccount: "x" }] }, true, true],
    [{ sourceIps: cidrs("10.1.0.0/16") }, true, true],
    [{ sourceIps: cidrs("10.1.2.3") }, true, true],
    [{ sourceIps: cidrs("::ffff:10.1.2.3/128") }, true, true],
    [{ sourceIps: cidrs("10.2.0.0/16", "fd00::/8") }, false, false],
    [{ notSourceIps: cidrs("10.1.0.0/16") }, false, false],
    [{ notSourceIps: cidrs("10.2.0.0/16") }, true, true],
    [{ destinationIps: cidrs("10.2.0.0/16") }, true, true],
    [{ destinationIps: cidrs("10.3.0.0/16") }, false, false],
    [{ notDestinationIps: cidrs("10.2.0.9/32") }, false, false],
    [{ notDestinationIps: cidrs("10.2.0.8/32") }, true, true],
    [{ destinationPorts: [8080, 9090] }, true, true],
    [{ destinationPorts: [9090] }, false, false],
    [{ destinationPorts: [8080 + 65536] }, false, false],
    [{ notDestinationPorts: [8080] }, false, false],
    [{ notDestinationPorts: [9090] }, true, true],
  ];
  for (const [match, withIdentity, inPlaintext] of rows) {
    test(JSON.stringify(match), () => {
      assert.equal(allows(makeRule(match)), withIdentity, "with the identity");
      assert.equal(allows(makeRule(match), plaintext), inPlaintext, "in plaintext");
    });
  }
});

describe("nesting", () => {
  const yes = makeMatch({ destinationPorts: [8080] });
  const no = makeMatch({ destinationPorts: [1] });
  const cases: readonly [string, readonly PolicyRule[], boolean][] = [
    ["no rules never match", [], false],
    ["a rule without clauses matches", [{ clauses: [] }], true],
    ["a clause without matches matches", [{ clauses: [{ matches: [] }] }], true],
    ["an empty match never matches", [{ clauses: [{ matches: [makeMatch()] }] }], false],
    ["matches are alternatives", [{ clauses: [{ matches: [no, yes] }] }], true],
    [
      "an empty match beside another changes nothing",
      [{ clauses: [{ matches: [makeMatch(), yes] }] }],
      true,
    ],
    ["clauses must all match", [{ clauses: [{ matches: [yes] }, { matches: [no] }] }], false],
    ["clauses all match", [{ clauses: [{ matches: [yes] }, { matches: [] }] }], true],
    [
      "rules are alternatives",
      [{ clauses: [{ matches: [no] }] }, { clauses: [{ matches: [yes] }] }],
      true,
    ],
    [
      "no rule matches",
      [{ clauses: [{ matches: [no] }] }, { clauses: [{ matches: [no, no] }] }],
      false,
    ],
    [
      "fields of a match must all match",
      [makeRule({ destinationPorts: [8080], namespaces: [{ kind: "exact", value: "other" }] })],
      false,
    ],
  ];
  for (const [name, rules, expected] of cases) {
    test(name, () => {
      const allow = evaluate(of(makePolicy("p", { rules })), facts);
      const deny = evaluate(of(makePolicy("p", { rules, action: "Deny" })), facts);
      assert.equal(allow.verdict, expected ? "allow" : "deny");
      assert.equal(deny.verdict, expected ? "deny" : "allow");
    });
  }

  test("the deciding rule is named", () => {
    const rules = [makeRule({ destinationPorts: [1] }), makeRule({ destinationPorts: [8080] })];
    const { reason } = evaluate(of(makePolicy("p", { rules })), facts);
    assert.deepEqual(reason, { kind: "allowed-by", hit: { policy: "shop/p", rule: 1 } });
  });
});

describe("several policies", () => {
  const matching = [makeRule({ destinationPorts: [8080] })];
  const other = [makeRule({ destinationPorts: [1] })];
  const deny = (rules: PolicyRule[], dryRun = false): Policy =>
    makePolicy("deny", { rules, action: "Deny", dryRun });
  const allow = (rules: PolicyRule[], dryRun = false): Policy =>
    makePolicy("allow", { rules, dryRun });
  const cases: readonly [string, Policy[], "allow" | "deny", string][] = [
    ["none", [], "allow", "no allow policies, allow"],
    ["DENY that matches", [deny(matching)], "deny", "explicitly denied by: shop/deny"],
    ["DENY that does not", [deny(other)], "allow", "no allow policies, allow"],
    ["ALLOW that matches", [allow(matching)], "allow", "allowed by: shop/allow"],
    ["ALLOW that does not", [allow(other)], "deny", "allow policies exist, but none allowed"],
    ["DENY wins", [allow(matching), deny(matching)], "deny", "explicitly denied by: shop/deny"],
    ["DENY misses, ALLOW hits", [deny(other), allow(matching)], "allow", "allowed by: shop/allow"],
    ["a dry run denies nobody", [deny(matching, true)], "allow", "no allow policies, allow"],
    ["a dry-run ALLOW flips no default", [allow(other, true)], "allow", "no allow policies, allow"],
    [
      "a dry-run ALLOW lets nobody in",
      [allow(matching, true), makePolicy("none")],
      "deny",
      "allow policies exist, but none allowed",
    ],
  ];
  for (const [name, policies, verdict, text] of cases) {
    test(name, () => {
      for (const order of [policies, policies.toReversed()]) {
        const decision = evaluate(of(...order), facts);
        assert.equal(decision.verdict, verdict);
        assert.equal(reasonText(decision), text);
      }
    });
  }

  test("dry runs report what they would have done", () => {
    const decision = evaluate(of(deny(matching, true), allow(other, true)), facts);
    assert.deepEqual(decision.dryRun, [
      { kind: "would-deny", hit: { policy: "shop/deny", rule: 0 } },
      { kind: "would-not-allow", allowPolicies: ["shop/allow"] },
    ]);
    assert.deepEqual(logLines(decision), [
      { message: "dry-run: deny policy match", policy: "shop/deny" },
      { message: "dry-run: no allow policies match", policy: undefined },
      { message: "no allow policies, allow", policy: undefined },
    ]);
  });
});

describe("what cannot be evaluated", () => {
  const refused = {
    namespace: "shop",
    name: "p",
    scope: "Namespace",
    reason: "rules[0]: odd",
  } as const;

  test("a refused policy denies, and says so", () => {
    const decision = evaluate({ policies: [], unknown: [], refused: [refused] }, facts);
    assert.equal(decision.verdict, "deny");
    assert.equal(reasonText(decision), "policy cannot be evaluated: shop/p: rules[0]: odd");
  });

  test("a matching ALLOW does not help against it", () => {
    const policies = [makePolicy("a", { rules: [{ clauses: [] }] })];
    assert.equal(evaluate({ policies, unknown: [], refused: [refused] }, facts).verdict, "deny");
  });

  test("a name that was never delivered counts for nothing, and is reported", () => {
    const decision = evaluate({ policies: [], unknown: ["shop/late"], refused: [] }, facts);
    assert.equal(decision.verdict, "allow");
    assert.deepEqual(logLines(decision)[0], {
      message: "skipping unknown policy",
      policy: "shop/late",
    });
  });
});

describe("the trail", () => {
  const policies = [
    makePolicy("by-account", {
      rules: [makeRule({ serviceAccounts: [{ namespace: "shop", serviceAccount: "admin" }] })],
    }),
    makePolicy("strict", {
      action: "Deny",
      rules: [makeRule({ notPrincipals: [{ kind: "presence" }] }, { notDestinationPorts: [9090] })],
    }),
  ];

  test("tells of each policy why it did or did not match", () => {
    const lines = describeDecision(evaluate(of(...policies), facts));
    assert.deepEqual(lines, [
      "deny: allow policies exist, but none allowed",
      "source 10.1.2.3, spiffe://cluster.local/ns/shop/sa/web; destination 10.2.0.9 port 8080",
      "ALLOW shop/by-account: does not match (rule 0, clause 0: serviceAccounts shop/admin)",
      "DENY shop/strict: does not match (rule 0, clause 0: notPrincipals *)",
    ]);
  });

  test("what would change a denial: the identity that is allowed, or the policy gone", () => {
    const texts = whatWouldChange(evaluate(of(...policies), facts)).map((other) => other.text);
    assert.deepEqual(texts, [
      "without shop/by-account, it would be allowed",
      "as cluster.local/ns/shop/sa/admin, it would be allowed",
    ]);
  });

  test("what would change a denial of plaintext", () => {
    const decision = evaluate(of(...policies.slice(1)), plaintext);
    assert.equal(reasonText(decision), "explicitly denied by: shop/strict");
    const texts = whatWouldChange(decision).map((other) => other.text);
    assert.ok(texts.includes("without shop/strict, it would be allowed"), texts.join("; "));
    assert.ok(texts.includes("to port 9090, it would be allowed"), texts.join("; "));
    assert.ok(
      texts.includes("as another identity of the mesh, it would be allowed"),
      texts.join("; "),
    );
  });

  test("alternatives are verified: each has the opposite verdict", () => {
    const decision = evaluate(of(...policies), plaintext);
    for (const other of whatWouldChange(decision))
      assert.notEqual(other.decision.verdict, decision.verdict);
  });
});
