import assert from "node:assert/strict";
import { test } from "node:test";
import { evaluate } from "../../../../src/shared/authz/evaluate.ts";
import { inertText } from "../../../../src/shared/authz/inert.ts";
import { viewDecision } from "../../../../src/shared/authz/view.ts";
import type { Policy } from "../../../../src/shared/model/policy.ts";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { makeMatch, makePolicy, makeRule } from "../../../support/mesh-builders.ts";

const empty = makeMatch();
const port = makeMatch({ destinationPorts: [80] });

const cases: readonly (readonly [string, Pick<Policy, "action" | "rules">, RegExp | undefined])[] =
  [
    [
      "a DENY of which nothing is left",
      { action: "Deny", rules: [{ clauses: [{ matches: [empty] }] }] },
      /^NOT ENFORCED/,
    ],
    [
      "a DENY with one such clause among others",
      { action: "Deny", rules: [{ clauses: [{ matches: [port] }, { matches: [empty] }] }] },
      /^NOT ENFORCED/,
    ],
    ["a DENY without rules", { action: "Deny", rules: [] }, /denies nothing/],
    ["an ALLOW without rules", { action: "Allow", rules: [] }, /allows nothing/],
    [
      "an ALLOW of which nothing is left",
      { action: "Allow", rules: [{ clauses: [{ matches: [empty] }] }] },
      /^allows nothing/,
    ],
    ["a rule without clauses matches all", { action: "Deny", rules: [{ clauses: [] }] }, undefined],
    [
      "a clause without matches is true",
      { action: "Deny", rules: [{ clauses: [{ matches: [] }] }] },
      undefined,
    ],
    [
      "one of several matches is enough",
      { action: "Deny", rules: [{ clauses: [{ matches: [empty, port] }] }] },
      undefined,
    ],
    [
      "one of several rules is enough",
      { action: "Deny", rules: [{ clauses: [{ matches: [empty] }] }, makeRule(port)] },
      undefined,
    ],
  ];

for (const [name, spec, expected] of cases) {
  test(`${name}: ${expected === undefined ? "has an effect" : "has none, and says so"}`, () => {
    const text = inertText(makePolicy("p", spec));
    if (expected === undefined) assert.equal(text, undefined);
    else assert.match(text ?? "", expected);
  });
}

test("the view of a decision says so too", () => {
  const policy = makePolicy("p", { action: "Deny", rules: [{ clauses: [{ matches: [empty] }] }] });
  const view = viewDecision(
    evaluate(
      { policies: [policy], unknown: [], refused: [] },
      {
        sourceIp: ipOf("10.0.0.1"),
        peer: undefined,
        destinationIp: ipOf("10.0.0.2"),
        destinationPort: 80,
      },
    ),
  );
  assert.equal(view.verdict, "allow");
  assert.equal(view.decidedBy, null);
  assert.match(view.policies[0]?.inert ?? "", /^NOT ENFORCED/);
  assert.match(view.looked[0] ?? "", /^DENY shop\/p: NOT ENFORCED/);
});
