/** The words of explanations, whole. After a deliberate change: UPDATE_GOLDEN=1 node --test <this file>, then read the diff. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { askWhy, goldenRoot, type Question } from "./ask.ts";

const folder = join(goldenRoot, "why");

const l7Deny = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no-deletes, namespace: shop }
spec:
  selector: { matchLabels: { app: reviews } }
  action: DENY
  rules: [{ to: [{ operation: { methods: [DELETE] } }] }]
`;

const denyVersion2 = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: not-v2, namespace: shop }
spec:
  selector: { matchLabels: { app: reviews, version: v2 } }
  action: DENY
  rules: [{ from: [{ source: { principals: [cluster.local/ns/shop/sa/web] } }] }]
`;

const rehearsals = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: maybe, namespace: shop, annotations: { istio.io/dry-run: "true" } }
spec: { action: DENY, rules: [{ from: [{ source: { namespaces: [shop] } }] }] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: perhaps, namespace: shop, annotations: { istio.io/dry-run: "true" } }
spec: { rules: [{ from: [{ source: { serviceAccounts: [admin] } }] }] }
`;

const policyOnLegacy = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: closed, namespace: legacy }
spec: {}
`;

const questions: Readonly<Record<string, Question>> = {
  "denied-by-policy": {
    of: "l4-authz-deny-namespace-port",
    from: "legacy/old-1",
    to: "shop/db:5432",
  },
  "none-allowed": { of: "l4-authz-allow-principals", from: "shop/db-0", to: "10.10.1.11:8080" },
  "allowed-through-waypoint": { of: "l4-authz-targets-waypoint", from: "web-1", to: "reviews:80" },
  "l7-deny-nobody-enforces": {
    of: "l4-base",
    and: l7Deny,
    from: "web-1",
    to: "10.10.1.11:8080",
  },
  "depends-on-endpoint": { of: "l4-base", and: denyVersion2, from: "web-1", to: "reviews:80" },
  "dry-run": {
    of: "l4-base",
    and: rehearsals,
    settings: { dryRunPolicies: true },
    from: "web-1",
    to: "10.10.1.11:8080",
  },
  "dry-run-not-sent": { of: "l4-authz-dry-run", from: "old-1", to: "10.10.1.11:8080" },
  audit: { of: "l4-authz-custom-audit", from: "web-1", to: "10.10.1.11:8080" },
  "strict-mtls": { of: "l4-peerauth-strict-mesh", from: "old-1", to: "10.10.1.11:8080" },
  "destination-outside-mesh": {
    of: "l4-base",
    and: policyOnLegacy,
    from: "web-1",
    to: "old.legacy:8000",
  },
  "egress-through-waypoint": {
    of: "l7-egress-service-entry",
    from: "web-1",
    to: "api.example.com:443",
  },
  "waypoint-bypassed-from-outside": {
    of: "l4-waypoint-service",
    from: "old-1",
    to: "reviews.shop:80",
  },
  "no-such-port": { of: "l4-base", from: "web-1", to: "reviews:81" },
  "name-unknown": { of: "l4-base", from: "web-1", to: "example.com:443" },
};

for (const [name, question] of Object.entries(questions)) {
  test(`the words for ${name}`, () => {
    const file = join(folder, `${name}.txt`);
    const text = askWhy(question)
      .text.map((line) => `${line.trimEnd()}\n`)
      .join("");
    if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, text);
    assert.equal(text, readFileSync(file, "utf8"));
  });
}

test("no golden text is left over", () => {
  const expected = Object.keys(questions).map((name) => `${name}.txt`);
  assert.deepEqual(readdirSync(folder).sort(), expected.sort());
});
