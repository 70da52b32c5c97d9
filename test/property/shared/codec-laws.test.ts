import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import { create, fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { MeshStore } from "../../../src/shared/model/store.ts";
import {
  DeltaDiscoveryResponseSchema,
  ResourceSchema,
} from "../../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import { decodeAddress, decodeAuthorization } from "../../../src/shared/xds/decode.ts";
import { DeltaState } from "../../../src/shared/xds/delta-state.ts";
import { encodeServiceAddress, encodeWorkloadAddress } from "../../../src/shared/xds/encode.ts";
import { encodePolicy } from "../../../src/shared/xds/encode-policy.ts";
import { parseLocalConfig } from "../../../src/shared/xds/local-config.ts";
import { addressType, authorizationType } from "../../../src/shared/xds/types.ts";
import { policyView, serviceView, workloadView } from "../../../src/ztunnel/admin/mesh-view.ts";
import { anyPolicy, anyService, anyWorkload } from "../../support/mesh-arbitraries.ts";

function resource(
  typeUrl: string,
  value: Uint8Array,
): ReturnType<typeof create<typeof ResourceSchema>> {
  return create(ResourceSchema, { name: "x/y", resource: { typeUrl, value } });
}

test("a workload that is encoded and decoded is the same", () => {
  fc.assert(
    fc.property(anyWorkload, (workload) => {
      const decoded = decodeAddress(resource(addressType, encodeWorkloadAddress(workload)));
      assert.deepEqual(decoded, { kind: "workload", workload });
    }),
    { numRuns: 300 },
  );
});

test("a service that is encoded and decoded is the same", () => {
  fc.assert(
    fc.property(anyService, (service) => {
      const decoded = decodeAddress(resource(addressType, encodeServiceAddress(service)));
      assert.deepEqual(decoded, { kind: "service", service });
    }),
    { numRuns: 300 },
  );
});

test("a policy that is encoded and decoded is the same", () => {
  fc.assert(
    fc.property(anyPolicy, (policy) => {
      const decoded = decodeAuthorization(resource(authorizationType, encodePolicy(policy)));
      assert.deepEqual(decoded, { kind: "policy", policy, warnings: [] });
    }),
    { numRuns: 300 },
  );
});

test("no bytes make the decoders throw anything but a refusal", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      decodeAuthorization(resource(authorizationType, bytes));
      try {
        decodeAddress(resource(addressType, bytes));
      } catch (thrown) {
        assert.equal((thrown as Error).name, "DecodeError");
      }
    }),
    { numRuns: 2000 },
  );
});

test("no damage to a real recording makes the client throw; what it cannot read it names", () => {
  const root = resolve(import.meta.dirname, "../../golden");
  const recordings = readdirSync(root).flatMap((name) =>
    ["Address", "Authorization"].flatMap((type) => {
      const path = `${root}/${name}/ztunnel/${type}.binpb`;
      return existsSync(path) ? [fromBinary(DeltaDiscoveryResponseSchema, readFileSync(path))] : [];
    }),
  );
  const resources = recordings
    .flatMap((response) => response.resources.map((item) => ({ response, item })))
    .filter(({ item }) => (item.resource?.value.length ?? 0) > 0);
  assert.ok(resources.length > 100);
  const damage = fc.record({
    which: fc.nat(resources.length - 1),
    edits: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
    cut: fc.option(fc.nat(), { nil: undefined }),
  });
  fc.assert(
    fc.property(damage, ({ which, edits, cut }) => {
      const { response, item } = resources[which] as (typeof resources)[number];
      const value = Uint8Array.from(item.resource?.value ?? []);
      for (const [at, byte] of edits) value[at % value.length] = byte;
      const end = cut === undefined ? value.length : cut % value.length;
      const damaged = create(ResourceSchema, {
        name: item.name,
        resource: { typeUrl: response.typeUrl, value: value.subarray(0, end) },
      });
      const { problems, answer } = new DeltaState({ onDemand: false }).receive(
        create(DeltaDiscoveryResponseSchema, { typeUrl: response.typeUrl, resources: [damaged] }),
      );
      assert.equal(answer.error !== undefined, problems.length > 0);
      for (const problem of problems) assert.ok(problem.startsWith(`${item.name}: `), problem);
    }),
    { numRuns: 3000 },
  );
});

test("what the config dump shows can be read as static configuration", () => {
  const some = <T>(item: fc.Arbitrary<T>, key: (value: T) => string): fc.Arbitrary<T[]> =>
    fc.uniqueArray(item, { maxLength: 3, selector: key });
  fc.assert(
    fc.property(
      some(anyWorkload, (workload) => workload.uid),
      some(anyService, (service) => `${service.namespace}/${service.hostname}`),
      some(anyPolicy, (policy) => `${policy.namespace}/${policy.name}`),
      (workloads, services, policies) => {
        const store = new MeshStore();
        store.apply({
          addresses: [
            ...workloads.map((workload) => ({ kind: "workload" as const, workload })),
            ...services.map((service) => ({ kind: "service" as const, service })),
          ],
        });
        const dump = JSON.stringify({
          workloads: workloads.map(workloadView),
          services: services.map((service) =>
            serviceView(service, store.allEndpoints(`${service.namespace}/${service.hostname}`)),
          ),
          policies: policies.map(policyView),
        });
        const read = parseLocalConfig(dump);
        const known = new Set(
          services.map((service) => `${service.namespace}/${service.hostname}`),
        );
        const expected = workloads.map((workload) => ({
          kind: "workload" as const,
          workload: {
            ...workload,
            // The dump shows ports only at services that are known.
            services: new Map(
              [...workload.services].map(([key, ports]) => [
                key,
                known.has(key) ? ports : new Map(),
              ]),
            ),
          },
        }));
        assert.deepEqual(read.addresses?.slice(0, workloads.length), expected);
        assert.deepEqual(
          read.addresses?.slice(workloads.length),
          services.map((service) => ({
            kind: "service",
            service: {
              ...service,
              // A map keeps its ports in ascending order.
              ports: service.ports.toSorted((a, b) => a.servicePort - b.servicePort),
            },
          })),
        );
        assert.deepEqual(read.policies, policies);
      },
    ),
    { numRuns: 200 },
  );
});
