/** Tags of spans: the waypoint's own, those of both peers, of dry-run policies, and what users add. */
import { create } from "@bufbuild/protobuf";
import type { TracingSpec } from "../../../shared/objects/kinds/telemetry.ts";
import {
  type CustomTag,
  CustomTagSchema,
} from "../../../shared/wire/gen/envoy/type/tracing/v3/custom_tag_pb.js";
import type { Mesh } from "./mesh.ts";
import { isAtLeast, type WaypointNode } from "./node.ts";
import { byText, unknownText } from "./wire.ts";

const VALUE_FIELD = 6;

function literal(tag: string, value: string): CustomTag {
  return create(CustomTagSchema, { tag, type: { case: "literal", value: { value } } });
}

/** A value made by Envoy's formatter; newer than our copy of the API. */
function formatted(tag: string, format: string): CustomTag {
  const message = create(CustomTagSchema, { tag });
  message.$unknown = [unknownText(VALUE_FIELD, format)];
  return message;
}

const PEER_FIELDS: readonly (readonly [suffix: string, field: string])[] = [
  ["workload", "workload"],
  ["namespace", "namespace"],
  ["cluster_id", "cluster"],
  ["canonical_service", "service"],
  ["canonical_revision", "revision"],
  ["app", "app"],
  ["app_version", "version"],
  ["workload_type", "type"],
  ["instance_name", "name"],
];

const peerTags: readonly CustomTag[] = PEER_FIELDS.flatMap(([suffix, field]) => [
  formatted(`istio.destination_${suffix}`, `%FILTER_STATE(upstream_peer_obj:FIELD:${field})%`),
  formatted(`istio.source_${suffix}`, `%FILTER_STATE(downstream_peer_obj:FIELD:${field})%`),
]);

function dryRunTag(tag: string, key: string): CustomTag {
  return create(CustomTagSchema, {
    tag: `istio.authorization.dry_run.${tag}`,
    type: {
      case: "metadata",
      value: {
        kind: { kind: { case: "request", value: {} } },
        metadataKey: {
          key: "envoy.filters.http.rbac",
          path: [{ segment: { case: "key", value: `istio_dry_run_${key}` } }],
        },
      },
    },
  });
}

const dryRunTags: readonly CustomTag[] = [
  dryRunTag("allow_policy.name", "allow_shadow_effective_policy_id"),
  dryRunTag("allow_policy.result", "allow_shadow_engine_result"),
  dryRunTag("deny_policy.name", "deny_shadow_effective_policy_id"),
  dryRunTag("deny_policy.result", "deny_shadow_engine_result"),
];

function ownTags({ labels, meshId, namespace, clusterId }: WaypointNode): readonly CustomTag[] {
  return [
    literal("istio.canonical_revision", labels["service.istio.io/canonical-revision"] || "latest"),
    literal("istio.canonical_service", labels["service.istio.io/canonical-name"] || "unknown"),
    literal("istio.mesh_id", meshId || "unknown"),
    literal("istio.namespace", namespace || "default"),
    literal("istio.cluster_id", clusterId || "unknown"),
  ];
}

export interface TagWishes {
  readonly istioTags: boolean;
  /** Of Telemetry; when there are none, those of the mesh's proxies stand in. */
  readonly custom: TracingSpec["customTags"];
}

export function tracingTags(mesh: Mesh, node: WaypointNode, wishes: TagWishes): CustomTag[] {
  const users =
    Object.keys(wishes.custom).length > 0 ? wishes.custom : (mesh.tracing?.customTags ?? {});
  return [
    ...(wishes.istioTags ? [...ownTags(node), ...dryRunTags] : []),
    ...peerTags,
    ...Object.entries(users).flatMap(([tag, spec]) => userTag(tag, spec, node) ?? []),
  ].sort((a, b) => byText(a.tag, b.tag));
}

function userTag(
  tag: string,
  spec: TracingSpec["customTags"][string],
  node: WaypointNode,
): CustomTag | undefined {
  if (spec.literal !== undefined) return literal(tag, spec.literal.value);
  if (spec.environment !== undefined)
    return create(CustomTagSchema, { tag, type: { case: "environment", value: spec.environment } });
  if (spec.header !== undefined)
    return create(CustomTagSchema, { tag, type: { case: "requestHeader", value: spec.header } });
  if (spec.formatter === undefined || !isAtLeast(node, 1, 29)) return undefined;
  return formatted(tag, spec.formatter.value);
}
