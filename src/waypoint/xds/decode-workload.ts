/** `istio.workload.Workload` as telemetry needs it (wire/waypoint.md section 7.2); services and policies in it are not ours. */
import { fromBinary } from "@bufbuild/protobuf";
import { ipFromBytes } from "../../shared/net/ip.ts";
import {
  NetworkMode,
  WorkloadSchema,
  WorkloadType,
} from "../../shared/wire/gen/istio/workload/workload_pb.js";
import type { IndexedWorkload } from "../workloads/index.ts";

const types: Readonly<Record<number, string>> = {
  [WorkloadType.DEPLOYMENT]: "deployment",
  [WorkloadType.CRONJOB]: "cronjob",
  [WorkloadType.POD]: "pod",
  [WorkloadType.JOB]: "job",
};

/** Throws when the octets are no Workload. An address that cannot be one is left out: nothing can come from it. */
export function decodeWorkload(bytes: Uint8Array): IndexedWorkload {
  const wire = fromBinary(WorkloadSchema, bytes);
  return {
    uid: wire.uid,
    network: wire.network,
    addresses: wire.addresses.map(ipFromBytes).filter((ip) => ip !== undefined),
    hostNetwork: wire.networkMode === NetworkMode.HOST_NETWORK,
    peer: {
      workload: wire.workloadName,
      namespace: wire.namespace,
      cluster: wire.clusterId,
      canonicalService: wire.canonicalName,
      canonicalRevision: wire.canonicalRevision,
      type: types[wire.workloadType] ?? "unknown",
      name: wire.name,
      trustDomain: wire.trustDomain,
      serviceAccount: wire.serviceAccount,
      region: wire.locality?.region ?? "",
      zone: wire.locality?.zone ?? "",
    },
  };
}
