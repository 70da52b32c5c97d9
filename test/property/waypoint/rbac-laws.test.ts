/** Laws of authorization that hold whatever the policies say. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cidrOf } from "../../../src/shared/net/cidr.ts";
import { ipOf } from "../../../src/shared/net/ip.ts";
import {
  allOf,
  type Condition,
  noneOf,
  oneOf,
  withoutHttp,
} from "../../../src/waypoint/filters/rbac/condition.ts";
import {
  decide,
  type RbacAction,
  type RbacPolicy,
} from "../../../src/waypoint/filters/rbac/engine.ts";
import { explainMatch, explainNoMatch } from "../../../src/waypoint/filters/rbac/explain.ts";
import type { Facts } from "../../../src/waypoint/filters/rbac/facts.ts";
import { holds } from "../../../src/waypoint/filters/rbac/holds.ts";
import { downstream, head } from "../../support/filters.ts";

const methods = ["GET", "POST", "DELETE"];
const paths = ["/", "/a", "/a/b"];
const identities = ["spiffe://t/ns/a/sa/x", "spiffe://t/ns/b/sa/y"];
const addresses = ["10.0.0.1", "10.0.1.1", "192.168.0.1"];

const exactly = (value: string) => ({ kind: "exact", value, ignoreCase: false }) as const;
const prefix = cidrOf(ipOf("10.0.0.0"), 24);
assert.ok(prefix !== undefined);
const cidr = prefix;

const leaf: fc.Arbitrary<Condition> = fc.oneof(
  fc.constant<Condition>({ kind: "any" }),
  fc.constant<Condition>({ kind: "never" }),
  fc.constantFrom(...methods).map(
    (value): Condition => ({
      kind: "header",
      matcher: {
        name: ":method",
        test: { kind: "string", matcher: exactly(value) },
        invert: false,
        treatMissingAsEmpty: false,
      },
    }),
  ),
  fc.constantFrom(...paths).map((value): Condition => ({ kind: "path", matcher: exactly(value) })),
  fc
    .constantFrom(...identities)
    .map((value): Condition => ({ kind: "peer-principal", matcher: exactly(value) })),
  fc.constantFrom<Condition>(
    { kind: "source-ip", cidr },
    { kind: "remote-ip", cidr },
    { kind: "destination-port", start: 80, end: 81 },
    { kind: "authenticated", matcher: undefined },
  ),
);

/** Built with the combinators, as the compiler does. */
const condition: fc.Arbitrary<Condition> = fc.letrec<{ tree: Condition }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.array(tie("tree"), { minLength: 1, maxLength: 3 }).map(allOf),
    fc.array(tie("tree"), { minLength: 1, maxLength: 3 }).map(oneOf),
    tie("tree").map(noneOf),
  ),
})).tree;

/** The same tree without any simplification. */
const plain: fc.Arbitrary<Condition> = fc.letrec<{ tree: Condition }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc
      .array(tie("tree"), { minLength: 1, maxLength: 3 })
      .map((of): Condition => ({ kind: "and", of })),
    fc
      .array(tie("tree"), { minLength: 1, maxLength: 3 })
      .map((of): Condition => ({ kind: "or", of })),
    tie("tree").map((of): Condition => ({ kind: "not", of })),
  ),
})).tree;

const facts: fc.Arbitrary<Facts> = fc
  .record({
    method: fc.constantFrom(...methods),
    path: fc.constantFrom(...paths, "/a?b", "/c"),
    peerPrincipal: fc.constantFrom(...identities, undefined),
    ip: fc.constantFrom(...addresses),
    port: fc.constantFrom(80, 81),
    forwarded: fc.constantFrom(...addresses, "", "x"),
  })
  .map(({ method, path, peerPrincipal, ip, port, forwarded }) => ({
    head: head(path, { "x-forwarded-for": forwarded }, { method }),
    downstream: downstream({
      peerPrincipal,
      source: { ip, port: 1 },
      destination: { ip: "10.96.1.1", port },
    }),
    metadata: new Map(),
  }));

const policies: fc.Arbitrary<RbacPolicy[]> = fc
  .array(condition, { maxLength: 5 })
  .map((conditions) => conditions.map((each, index) => ({ id: `p${index}`, condition: each })));

function rules(action: RbacAction, list: readonly RbacPolicy[]) {
  return { action, policies: list };
}

function simplified(tree: Condition): Condition {
  switch (tree.kind) {
    case "and":
      return allOf(tree.of.map(simplified));
    case "or":
      return oneOf(tree.of.map(simplified));
    case "not":
      return noneOf(simplified(tree.of));
    default:
      return tree;
  }
}

test("simplifying a condition does not change what it says", () => {
  fc.assert(
    fc.property(plain, facts, (tree, given) => {
      assert.equal(holds(simplified(tree), given), holds(tree, given));
    }),
    { numRuns: 1_000 },
  );
});

test("not is the opposite, twice not is nothing", () => {
  fc.assert(
    fc.property(condition, facts, (tree, given) => {
      assert.equal(holds(noneOf(tree), given), !holds(tree, given));
      assert.equal(holds(noneOf(noneOf(tree)), given), holds(tree, given));
    }),
  );
});

test("ALLOW and DENY of the same policies are opposites", () => {
  fc.assert(
    fc.property(policies, facts, (list, given) => {
      const allow = decide(rules("allow", list), given);
      const deny = decide(rules("deny", list), given);
      assert.equal(allow.allowed, !deny.allowed);
      assert.equal(allow.policy, deny.policy);
      assert.equal(decide(rules("log", list), given).allowed, true);
    }),
  );
});

test("the order of policies does not change the decision", () => {
  fc.assert(
    fc.property(policies, facts, (list, given) => {
      const backwards = [...list].reverse();
      for (const action of ["allow", "deny"] as const)
        assert.equal(
          decide(rules(action, list), given).allowed,
          decide(rules(action, backwards), given).allowed,
        );
    }),
  );
});

test("one more ALLOW policy never denies, one more DENY policy never allows", () => {
  fc.assert(
    fc.property(policies, condition, facts, (list, more, given) => {
      const longer = [...list, { id: "more", condition: more }];
      if (decide(rules("allow", list), given).allowed)
        assert.ok(decide(rules("allow", longer), given).allowed);
      if (!decide(rules("deny", list), given).allowed)
        assert.ok(!decide(rules("deny", longer), given).allowed);
    }),
  );
});

test("an ALLOW without policies denies, a DENY without policies allows", () => {
  fc.assert(
    fc.property(facts, (given) => {
      assert.equal(decide(rules("allow", []), given).allowed, false);
      assert.equal(decide(rules("deny", []), given).allowed, true);
    }),
  );
});

test("for connections an HTTP condition closes: it never lets an ALLOW match or a DENY miss", () => {
  fc.assert(
    fc.property(condition, facts, fc.array(facts, { maxLength: 5 }), (tree, given, others) => {
      const { head: _none, ...connection } = given;
      const lower = holds(withoutHttp(tree, false), connection);
      const upper = holds(withoutHttp(tree, true), connection);
      // Whatever request might come over the connection: what ALLOW takes all of them would pass, what DENY misses none would hit.
      for (const { head: some } of [given, ...others]) {
        if (some === undefined) continue;
        some.fields.remove("x-forwarded-for");
        const request = { ...connection, head: some };
        if (lower) assert.ok(holds(tree, request));
        if (!upper) assert.ok(!holds(tree, request));
      }
    }),
    { numRuns: 1_000 },
  );
});

test("every denial has a reason, of bounded length", () => {
  fc.assert(
    fc.property(policies, facts, (list, given) => {
      const allow = decide(rules("allow", list), given);
      if (!allow.allowed) {
        const reason = explainNoMatch(rules("allow", list), given);
        assert.ok(reason.length > 10 && reason.length < 700, reason);
      } else if (allow.policy !== undefined)
        assert.ok(explainMatch(allow.policy, given).includes(allow.policy.id));
    }),
  );
});
