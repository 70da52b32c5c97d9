/**
 * Resources as a control plane sends them: refused with a DecodeError that names the field, or decoded; what is decoded is
 * encoded and decoded again to the same, and the store takes it in, answers, and forgets it without a trace.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { create, fromBinary } from "@bufbuild/protobuf";
import { MeshStore } from "../../src/shared/model/store.ts";
import {
  DeltaDiscoveryResponseSchema,
  ResourceSchema,
} from "../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import { decodeAddress, decodeAuthorization } from "../../src/shared/xds/decode.ts";
import { DecodeError } from "../../src/shared/xds/decode-common.ts";
import { encodeServiceAddress, encodeWorkloadAddress } from "../../src/shared/xds/encode.ts";
import { encodePolicy } from "../../src/shared/xds/encode-policy.ts";
import { addressType, authorizationType } from "../../src/shared/xds/types.ts";
import { policyView, serviceView, workloadView } from "../../src/ztunnel/admin/mesh-view.ts";
import { fuzz } from "./harness.ts";

function resource(typeUrl: string, value: Uint8Array) {
  return create(ResourceSchema, { name: "shop/some", resource: { typeUrl, value } });
}

/** The kind of a refusal: its path without indexes and values. */
function kindOf(problem: string): string {
  return problem.replace(/\[[^\]]*\]|"[^"]*"|\d+/gs, "").slice(0, 60);
}

function runAddress(bytes: Buffer): string {
  try {
    const address = decodeAddress(resource(addressType, bytes));
    const store = new MeshStore({ localNode: "node1" });
    store.apply({ addresses: [address] });
    if (address.kind === "workload") {
      const { workload } = address;
      const again = decodeAddress(resource(addressType, encodeWorkloadAddress(workload)));
      assert.deepEqual(again, address);
      JSON.stringify(workloadView(workload));
      store.policiesFor(workload);
      store.apply({ removedAddresses: [workload.uid] });
      assert.equal(store.workloadByUid(workload.uid), undefined);
      return `workload ${workload.protocol} ${workload.services.size > 0} ${workload.waypoint?.destination.kind}`;
    }
    const { service } = address;
    const again = decodeAddress(resource(addressType, encodeServiceAddress(service)));
    assert.deepEqual(again, address);
    JSON.stringify(serviceView(service, []));
    store.apply({ removedAddresses: [`${service.namespace}/${service.hostname}`] });
    return `service ${service.vips.length > 0} ${service.loadBalancing?.mode} ${service.waypoint?.destination.kind}`;
  } catch (thrown) {
    if (!(thrown instanceof DecodeError)) throw thrown;
    assert.ok(thrown.path !== "");
    return kindOf(thrown.message);
  }
}

function runAuthorization(bytes: Buffer): string {
  const outcome = decodeAuthorization(resource(authorizationType, bytes));
  const store = new MeshStore();
  if (outcome.kind === "refused") {
    if (outcome.refused !== undefined) store.apply({ refusedPolicies: [outcome.refused] });
    return kindOf(outcome.problem);
  }
  const { policy } = outcome;
  const again = decodeAuthorization(resource(authorizationType, encodePolicy(policy)));
  assert.deepEqual(again, { kind: "policy", policy, warnings: [] });
  JSON.stringify(policyView(policy));
  store.apply({ policies: [policy] });
  store.apply({ removedPolicies: [`${policy.namespace}/${policy.name}`] });
  const kinds = policy.rules.flat(2).flatMap((match) => Object.keys(match));
  return `${policy.action} ${policy.scope} ${[...new Set(kinds)].join(" ")}`;
}

/** The first octet says which type the rest is. */
function run(input: Buffer): string {
  const bytes = input.subarray(1);
  return ((input[0] ?? 0) & 1) === 0 ? runAddress(bytes) : runAuthorization(bytes);
}

/** Every resource that the reference sent in the golden cases. */
function recorded(): readonly Buffer[] {
  const root = join(import.meta.dirname, "..", "golden");
  const seen = new Set<string>();
  for (const path of readdirSync(root, { recursive: true, encoding: "utf8" })) {
    if (!path.endsWith(".binpb") || !path.includes("ztunnel")) continue;
    const prefix = path.endsWith("Address.binpb") ? 0 : 1;
    const { resources } = fromBinary(DeltaDiscoveryResponseSchema, readFileSync(join(root, path)));
    for (const { resource: any } of resources)
      if (any !== undefined)
        seen.add(Buffer.concat([Buffer.from([prefix]), any.value]).toString("hex"));
  }
  return [...seen].map((hex) => Buffer.from(hex, "hex"));
}

fuzz({
  name: "xds",
  run,
  seeds: recorded(),
  dictionary: [Buffer.from("ffffffffff0f", "hex"), Buffer.from("0a04", "hex"), "shop/", "*"],
});
