/** Wire resources to the model: whatever this program does not understand is refused with the path of the field. */
import { fromBinary, type Message } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { describeError } from "../base/errors.ts";
import type { RefusedPolicy } from "../model/mesh-view.ts";
import type { Policy } from "../model/policy.ts";
import type { Address } from "../model/workload.ts";
import type { Resource } from "../wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import {
  AuthorizationSchema,
  type Authorization as WireAuthorization,
} from "../wire/gen/istio/security/authorization_pb.js";
import { AddressSchema } from "../wire/gen/istio/workload/workload_pb.js";
import { DecodeError } from "./decode-common.ts";
import { decodePolicy, policyScopes } from "./decode-policy.ts";
import { decodeService } from "./decode-service.ts";
import { decodeWorkload } from "./decode-workload.ts";
import { addressType, authorizationType } from "./types.ts";

function payloadOf<T extends Message>(
  resource: Resource,
  typeUrl: string,
  schema: GenMessage<T>,
): T {
  const any = resource.resource;
  if (any === undefined) throw new DecodeError("resource", "has no payload");
  if (any.typeUrl !== typeUrl) throw new DecodeError("resource", `is of type "${any.typeUrl}"`);
  try {
    return fromBinary(schema, any.value);
  } catch (thrown) {
    throw undecodable(thrown);
  }
}

function undecodable(cause: unknown): DecodeError {
  return new DecodeError("resource", `cannot be decoded: ${describeError(cause)}`, { cause });
}

/** Throws DecodeError. */
export function decodeAddress(resource: Resource): Address {
  const { type } = payloadOf(resource, addressType, AddressSchema);
  switch (type.case) {
    case "workload":
      return { kind: "workload", workload: decodeWorkload(type.value) };
    case "service":
      return { kind: "service", service: decodeService(type.value) };
    case undefined:
      throw new DecodeError("address", "is neither a workload nor a service");
  }
}

export type AuthorizationOutcome =
  | { readonly kind: "policy"; readonly policy: Policy; readonly warnings: readonly string[] }
  | {
      readonly kind: "refused";
      readonly problem: string;
      /** What is known of it, so that it can deny where it would apply; undefined for a dry run, which never counts. */
      readonly refused: RefusedPolicy | undefined;
    };

export function decodeAuthorization(resource: Resource): AuthorizationOutcome {
  let wire: WireAuthorization | undefined;
  try {
    wire = payloadOf(resource, authorizationType, AuthorizationSchema);
    return { kind: "policy", ...decodePolicy(wire) };
  } catch (thrown) {
    if (!(thrown instanceof DecodeError)) throw thrown;
    const problem = thrown.message;
    return { kind: "refused", problem, refused: refusedOf(resource.name, wire, problem) };
  }
}

function refusedOf(
  resourceName: string,
  wire: WireAuthorization | undefined,
  reason: string,
): RefusedPolicy | undefined {
  if (wire?.dryRun) return undefined;
  if (wire !== undefined && wire.name !== "")
    return { namespace: wire.namespace, name: wire.name, scope: policyScopes[wire.scope], reason };
  const slash = resourceName.indexOf("/");
  return {
    namespace: resourceName.slice(0, Math.max(0, slash)),
    name: resourceName.slice(slash + 1),
    scope: undefined,
    reason,
  };
}
