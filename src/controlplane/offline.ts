/**
 * What the control plane would tell a node proxy about a set of objects, without running: translated, encoded and decoded
 * again, so that whatever the wire does to it has been done. Pure.
 */
import { create } from "@bufbuild/protobuf";
import type { Labels } from "../shared/model/enrollment.ts";
import type { MeshUpdate } from "../shared/model/mesh-update.ts";
import type { Workload } from "../shared/model/workload.ts";
import type { ObjectOf } from "../shared/objects/kinds.ts";
import { type ObjectSnapshot, objectsOfKind } from "../shared/objects/source.ts";
import {
  type Resource,
  ResourceSchema,
} from "../shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import { decodeAddress, decodeAuthorization } from "../shared/xds/decode.ts";
import { encodeServiceAddress, encodeWorkloadAddress } from "../shared/xds/encode.ts";
import { encodePolicy } from "../shared/xds/encode-policy.ts";
import { addressType, authorizationType } from "../shared/xds/types.ts";
import { allocateAddresses } from "./translate/auto-addresses.ts";
import type { Condition } from "./translate/conditions.ts";
import { isSubset } from "./translate/label-index.ts";
import { GATEWAY_NAME } from "./translate/names.ts";
import type { RedirectedPods } from "./translate/redirection.ts";
import type { MeshSettings } from "./translate/settings.ts";
import { type MeshState, Translator } from "./translate/translate.ts";
import type { PublishedWorkload } from "./translate/workload-parts.ts";

export interface OfflineMesh {
  readonly update: MeshUpdate;
  /** By uid. */
  readonly workload: (uid: string) => PublishedWorkload | undefined;
  /** What a person should know about policies that seem to concern this workload and that no node proxy judges (fully). */
  readonly remarks: (workload: Workload) => readonly string[];
}

function resource(name: string, typeUrl: string, value: Uint8Array): Resource {
  return create(ResourceSchema, { name, resource: { typeUrl, value } });
}

export function offlineMesh(
  snapshot: ObjectSnapshot,
  settings: MeshSettings,
  redirected: RedirectedPods,
): OfflineMesh {
  const state = new Translator(settings).translate({
    objects: snapshot.objects,
    redirected,
    autoAddresses: allocateAddresses(objectsOfKind(snapshot, "ServiceEntry"), new Map()),
  });
  return {
    update: updateOf(state),
    workload: (uid) => state.workloads.get(uid),
    remarks: (workload) => remarksOn(workload, snapshot, settings, state.conditions),
  };
}

function updateOf(state: MeshState): MeshUpdate {
  const outcomes = [...state.policies].map(([name, policy]) =>
    decodeAuthorization(resource(name, authorizationType, encodePolicy(policy))),
  );
  return {
    addresses: [
      ...[...state.services].map(([name, service]) =>
        decodeAddress(resource(name, addressType, encodeServiceAddress(service))),
      ),
      ...[...state.workloads].map(([name, workload]) =>
        decodeAddress(resource(name, addressType, encodeWorkloadAddress(workload))),
      ),
    ],
    policies: outcomes.flatMap((one) => (one.kind === "policy" ? [one.policy] : [])),
    refusedPolicies: outcomes.flatMap((one) => (one.kind === "refused" ? (one.refused ?? []) : [])),
  };
}

function labelsOf(workload: Workload, snapshot: ObjectSnapshot): Labels | undefined {
  const { namespace, name } = workload;
  const object =
    snapshot.objects.get(`Pod/${namespace}/${name}`) ??
    snapshot.objects.get(`WorkloadEntry/${namespace}/${name}`);
  return object?.metadata.labels;
}

function remarksOn(
  workload: Workload,
  snapshot: ObjectSnapshot,
  settings: MeshSettings,
  conditions: readonly Condition[],
): string[] {
  const labels = labelsOf(workload, snapshot) ?? {};
  const remarks: string[] = [];
  for (const policy of objectsOfKind(snapshot, "AuthorizationPolicy")) {
    const { namespace, name } = policy.metadata;
    const target = targetOf(policy, workload, labels);
    if (target !== undefined)
      remarks.push(
        `AuthorizationPolicy ${namespace}/${name} targets the ${target}: its waypoint judges it, a ztunnel does not`,
      );
    if (!concerns(policy, workload, labels, settings)) continue;
    for (const { object, type, reason, message } of conditions)
      if (
        object === `AuthorizationPolicy/${namespace}/${name}` &&
        type === "ZtunnelAccepted" &&
        reason !== "Accepted"
      )
        remarks.push(`AuthorizationPolicy ${namespace}/${name}: ${message}`);
  }
  return remarks;
}

function targetsOf({ spec }: ObjectOf<"AuthorizationPolicy">) {
  return spec.targetRef === undefined ? spec.targetRefs : [spec.targetRef, ...spec.targetRefs];
}

/** The target through which the policy concerns this workload: its gateway, or a service that it stands behind. */
function targetOf(
  policy: ObjectOf<"AuthorizationPolicy">,
  workload: Workload,
  labels: Labels,
): string | undefined {
  const { namespace } = policy.metadata;
  if (workload.namespace !== namespace) return undefined;
  const services = [...workload.services.keys()];
  const target = targetsOf(policy).find(({ kind, name }) =>
    kind === "Gateway"
      ? labels[GATEWAY_NAME] === name
      : kind === "Service" && services.some((key) => key.startsWith(`${namespace}/${name}.`)),
  );
  return target && `${target.kind} ${target.name}`;
}

/** Whether a policy without targets selects this workload. */
function concerns(
  policy: ObjectOf<"AuthorizationPolicy">,
  workload: Workload,
  labels: Labels,
  settings: MeshSettings,
): boolean {
  const { metadata, spec } = policy;
  if (targetsOf(policy).length > 0) return false;
  if (metadata.namespace !== workload.namespace && metadata.namespace !== settings.rootNamespace)
    return false;
  return isSubset(spec.selector?.matchLabels ?? {}, labels);
}
