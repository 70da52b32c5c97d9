import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MeshStore } from "../../../src/shared/model/store.ts";
import type { Address } from "../../../src/shared/model/workload.ts";
import { ipOf } from "../../../src/shared/net/ip.ts";
import { makePolicy, makeService, makeWorkload } from "../../support/mesh-builders.ts";

const namespaces = ["a", "b"] as const;
const ips = ["10.0.0.1", "10.0.0.2", "10.9.0.1", "fd00::1"] as const;
const hosts = ["x.example", "y.example"] as const;

const workload: fc.Arbitrary<Address> = fc
  .record({
    name: fc.constantFrom("w1", "w2", "w3"),
    namespace: fc.constantFrom(...namespaces),
    ips: fc.uniqueArray(fc.constantFrom(...ips), { maxLength: 2 }),
    host: fc.boolean(),
    meshed: fc.boolean(),
    hostNetwork: fc.boolean(),
    node: fc.constantFrom("node1", "node2"),
    behind: fc.constantFrom("a/x.example" as const, "b/y.example" as const, undefined),
  })
  .map(({ name, namespace, host, meshed, hostNetwork, behind, ...rest }) => ({
    kind: "workload",
    workload: makeWorkload(name, {
      namespace,
      ...rest,
      hostname: host ? "w.example" : "",
      protocol: meshed ? "HBONE" : "TCP",
      networkMode: hostNetwork ? "HostNetwork" : "Standard",
      behind: behind === undefined ? {} : { [behind]: { 80: 8080 } },
    }),
  }));

const service: fc.Arbitrary<Address> = fc
  .record({
    namespace: fc.constantFrom(...namespaces),
    hostname: fc.constantFrom(...hosts),
    at: fc.uniqueArray(fc.constantFrom(...ips, "/10.0.0.0/8", "/10.9.0.0/16"), { maxLength: 3 }),
    canonical: fc.boolean(),
    visibility: fc.constantFrom("Public" as const, "Namespace" as const),
  })
  .map((spec) => ({ kind: "service", service: makeService("s", spec) }));

type Step =
  | { readonly kind: "address"; readonly address: Address }
  | { readonly kind: "policy"; readonly name: string; readonly scope: "Global" | "Namespace" };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.oneof(workload, service).map((address) => ({ kind: "address" as const, address })),
  fc.record({
    kind: fc.constant("policy" as const),
    name: fc.constantFrom("p", "q"),
    scope: fc.constantFrom("Global" as const, "Namespace" as const),
  }),
);

function keyOfStep(entry: Step): string {
  if (entry.kind === "policy") return `policy ${entry.name}`;
  const { address } = entry;
  return address.kind === "workload"
    ? address.workload.uid
    : `${address.service.namespace}/${address.service.hostname}`;
}

function applyStep(store: MeshStore, entry: Step): void {
  if (entry.kind === "address") store.apply({ addresses: [entry.address] });
  else store.apply({ policies: [makePolicy(entry.name, { namespace: "a", scope: entry.scope })] });
}

/** Every question that the store answers, over the whole small world. */
function answers(store: MeshStore): unknown {
  const clients = [undefined, ...namespaces];
  return {
    workloads: [...store.workloads()].map((entry) => entry.uid).sort(),
    byIp: ips.map((ip) => store.workloadByAddress("", ipOf(ip))?.uid),
    byName: namespaces.map((namespace) => store.workloadByHostname(namespace, "w.example")?.uid),
    byVip: ips.map((ip) =>
      clients.map((clientNamespace) => store.serviceByVip("", ipOf(ip), { clientNamespace })),
    ),
    byHost: hosts.map((host) =>
      clients.map((clientNamespace) => store.serviceByHostname(host, { clientNamespace })),
    ),
    endpoints: (["a/x.example", "b/y.example"] as const).map((key) =>
      [...store.allEndpoints(key)].map((endpoint) => endpoint.workload.uid).sort(),
    ),
    policies: namespaces.map((namespace) =>
      store.policiesFor({ namespace, authorizationPolicies: ["a/p"] }),
    ),
    staged: store.stagedServices().sort(),
  };
}

const steps = fc.uniqueArray(step, { maxLength: 8, selector: keyOfStep });

test("the same updates in any order give the same answers", () => {
  fc.assert(
    fc.property(
      steps.chain((list) =>
        fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
      ),
      ([first, second]) => {
        const [one, two] = [new MeshStore(), new MeshStore()];
        for (const entry of first) applyStep(one, entry);
        for (const entry of second) applyStep(two, entry);
        assert.deepEqual(answers(one), answers(two));
      },
    ),
    { numRuns: 500 },
  );
});

test("an older version leaves no trace", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 10 }), (list) => {
      const all = new MeshStore();
      const latest = new MeshStore();
      for (const entry of list) applyStep(all, entry);
      const last = new Map(list.map((entry) => [keyOfStep(entry), entry]));
      for (const entry of last.values()) applyStep(latest, entry);
      assert.deepEqual(answers(all), answers(latest));
    }),
    { numRuns: 500 },
  );
});

test("what is removed leaves no trace, and identities balance", () => {
  fc.assert(
    fc.property(steps, (list) => {
      const store = new MeshStore({ localNode: "node1" });
      const present = new Set<string>();
      store.subscribe(({ localIdentities: { appeared, vanished } }) => {
        for (const { namespace, serviceAccount } of appeared) {
          assert.ok(!present.has(namespace + serviceAccount));
          present.add(namespace + serviceAccount);
        }
        for (const { namespace, serviceAccount } of vanished)
          assert.ok(present.delete(namespace + serviceAccount));
      });
      for (const entry of list) applyStep(store, entry);
      store.apply({
        removedAddresses: list.filter((entry) => entry.kind === "address").map(keyOfStep),
        removedPolicies: ["a/p", "a/q"],
      });
      assert.deepEqual(answers(store), answers(new MeshStore()));
      assert.equal(present.size, 0);
    }),
    { numRuns: 500 },
  );
});
