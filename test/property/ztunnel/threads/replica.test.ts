/** A copy of the mesh's state on another thread answers as the original does, whatever came in whatever order. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import type { MeshUpdate } from "../../../../src/shared/model/mesh-update.ts";
import { policyKey } from "../../../../src/shared/model/policy.ts";
import { MeshStore } from "../../../../src/shared/model/store.ts";
import { type Service, serviceKey, type Workload } from "../../../../src/shared/model/workload.ts";
import { policyView, serviceView, workloadView } from "../../../../src/ztunnel/admin/mesh-view.ts";
import { readToThread } from "../../../../src/ztunnel/threads/read-message.ts";
import { anyPolicy, anyService, anyWorkload } from "../../../support/mesh-arbitraries.ts";

const update: fc.Arbitrary<MeshUpdate> = fc.record(
  {
    addresses: fc.array(
      fc.oneof(
        anyWorkload.map((workload) => ({ kind: "workload" as const, workload })),
        anyService.map((service) => ({ kind: "service" as const, service })),
      ),
      { maxLength: 4 },
    ),
    policies: fc.array(anyPolicy, { maxLength: 3 }),
    refusedPolicies: fc.array(
      anyPolicy.map(({ namespace, name, scope }) => ({ namespace, name, scope, reason: "odd" })),
      { maxLength: 1 },
    ),
  },
  { requiredKeys: [] },
);

/** Takes away some of what is there. */
function removals(store: MeshStore): MeshUpdate {
  const workloads = [...store.workloads()].map(({ uid }) => uid);
  const services = [...store.services()].map((service) => keyOf(service));
  const policies = [...store.policies()].map(policyKey);
  const third = (names: readonly string[]): string[] => names.filter((_, index) => index % 3 === 0);
  return {
    removedAddresses: third([...workloads, ...services]),
    removedPolicies: third(policies),
  };
}

function keyOf(service: Service): string {
  return serviceKey(service.namespace, service.hostname);
}

/** Everything that a dump shows, and what decides about connections of each workload. */
function answers(store: MeshStore): unknown {
  const workloads: readonly Workload[] = [...store.workloads()];
  return {
    workloads: workloads.map(workloadView),
    services: [...store.services()].map((service) =>
      serviceView(service, store.allEndpoints(serviceKey(service.namespace, service.hostname))),
    ),
    policies: [...store.policies()].map(policyView),
    refused: [...store.refusedPolicies()],
    staged: store.stagedServices(),
    applicable: workloads.map((workload) => store.policiesFor(workload)),
    byAddress: workloads.flatMap(({ network, addresses }) =>
      addresses.map((ip) => [
        store.workloadByAddress(network, ip)?.uid,
        store.serviceByVip(network, ip)?.hostname,
      ]),
    ),
  };
}

test("property: the copy answers as the original, after every batch", () => {
  fc.assert(
    fc.property(fc.array(update, { maxLength: 6 }), (updates) => {
      const original = new MeshStore();
      const copy = new MeshStore();
      const tell = (batch: MeshUpdate): void => {
        original.apply(batch);
        const message = readToThread(structuredClone({ kind: "update", update: batch }));
        assert.equal(message.kind, "update");
        if (message.kind === "update") copy.apply(message.update);
        assert.ok(isDeepStrictEqual(answers(copy), answers(original)));
      };
      for (const batch of updates) {
        tell(batch);
        tell(removals(original));
      }
    }),
    { numRuns: 150, interruptAfterTimeLimit: 10_000 },
  );
});
