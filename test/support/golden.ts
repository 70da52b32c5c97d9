/** Mesh state → what a node proxy receives, as JSON by name, to compare with recordings. */
import { type DescMessage, fromBinary, type JsonValue, toJson } from "@bufbuild/protobuf";
import type { MeshState } from "../../src/controlplane/translate/translate.ts";
import { AuthorizationSchema } from "../../src/shared/wire/gen/istio/security/authorization_pb.js";
import { AddressSchema } from "../../src/shared/wire/gen/istio/workload/workload_pb.js";
import { encodeServiceAddress, encodeWorkloadAddress } from "../../src/shared/xds/encode.ts";
import { encodePolicy } from "../../src/shared/xds/encode-policy.ts";

export type Resources = Readonly<Record<string, JsonValue>>;

export function sorted(entries: readonly (readonly [string, JsonValue])[]): Resources {
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function decoded(schema: DescMessage, entries: readonly (readonly [string, Uint8Array])[]) {
  return sorted(entries.map(([key, bytes]) => [key, toJson(schema, fromBinary(schema, bytes))]));
}

export function sentAddresses(state: MeshState): Resources {
  return decoded(AddressSchema, [
    ...[...state.workloads].map(
      ([key, workload]) => [key, encodeWorkloadAddress(workload)] as const,
    ),
    ...[...state.services].map(([key, service]) => [key, encodeServiceAddress(service)] as const),
  ]);
}

export function sentPolicies(state: MeshState): Resources {
  return decoded(
    AuthorizationSchema,
    [...state.policies].map(([key, policy]) => [key, encodePolicy(policy)] as const),
  );
}
