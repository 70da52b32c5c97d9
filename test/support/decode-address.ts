/** Reads resources as a client would. */
import { fromBinary } from "@bufbuild/protobuf";
import {
  type Address,
  AddressSchema,
  type Workload,
  WorkloadSchema,
} from "../../src/shared/wire/gen/istio/workload/workload_pb.js";

export function decodeWorkload(bytes: Uint8Array | undefined): Workload {
  return fromBinary(WorkloadSchema, bytes ?? new Uint8Array());
}

export function decodeAddress(bytes: Uint8Array | undefined): Address {
  return fromBinary(AddressSchema, bytes ?? new Uint8Array());
}
