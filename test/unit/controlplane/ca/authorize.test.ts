import assert from "node:assert/strict";
import { test } from "node:test";
import { authorizeIdentity } from "../../../../src/controlplane/ca/authorize.ts";
import type { Caller } from "../../../../src/controlplane/ca/caller.ts";
import { formatSpiffe } from "../../../../src/shared/identity/spiffe.ts";

const web = "spiffe://cluster.local/ns/shop/sa/web";
const orders = "spiffe://cluster.local/ns/shop/sa/orders";
const rules = {
  trustDomain: "cluster.local",
  trustedNodeAccounts: new Set(["istio-system/ztunnel"]),
  identitiesOnNode: (node: string) =>
    new Set(node === "node1" ? [web] : node === "node2" ? [orders] : []),
};
const ztunnel: Caller = { namespace: "istio-system", serviceAccount: "ztunnel", node: "node1" };
const waypoint: Caller = { namespace: "shop", serviceAccount: "waypoint" };

const table: readonly [string, Caller, string | undefined, string | RegExp][] = [
  ["a node proxy gets an identity of its node", ztunnel, web, web],
  [
    "a node proxy gets no identity of another node",
    ztunnel,
    orders,
    /no workload with identity .*orders runs on node "node1"/,
  ],
  [
    "a node proxy gets its own identity without asking",
    ztunnel,
    undefined,
    "spiffe://cluster.local/ns/istio-system/sa/ztunnel",
  ],
  [
    "a node proxy without a node gets nobody else's",
    { namespace: "istio-system", serviceAccount: "ztunnel" },
    web,
    /not bound to a node/,
  ],
  [
    "a node nobody knows has no identities",
    { ...ztunnel, node: "node9" },
    web,
    /runs on node "node9"/,
  ],
  [
    "others get their own identity",
    waypoint,
    undefined,
    "spiffe://cluster.local/ns/shop/sa/waypoint",
  ],
  [
    "others may name their own identity",
    waypoint,
    "spiffe://cluster.local/ns/shop/sa/waypoint",
    "spiffe://cluster.local/ns/shop/sa/waypoint",
  ],
  ["others get nobody else's", waypoint, web, /shop\/waypoint is not trusted/],
  [
    "others get nobody else's, on whichever node",
    { ...waypoint, node: "node1" },
    web,
    /not trusted/,
  ],
  [
    "their own name in another trust domain is somebody else",
    waypoint,
    "spiffe://other/ns/shop/sa/waypoint",
    /not trusted/,
  ],
  [
    "the account counts with its namespace",
    { ...ztunnel, namespace: "shop" },
    web,
    /shop\/ztunnel is not trusted/,
  ],
  [
    "a name of another form is refused",
    ztunnel,
    "spiffe://cluster.local/ns/shop",
    /not of the form/,
  ],
];

for (const [name, caller, impersonated, expected] of table) {
  test(name, () => {
    const grant = authorizeIdentity(caller, impersonated, rules);
    if (typeof expected === "string") {
      assert.equal(grant.kind, "granted");
      assert.equal(formatSpiffe(grant.identity), expected);
    } else {
      assert.equal(grant.kind, "refused");
      assert.match(grant.reason, expected);
    }
  });
}
