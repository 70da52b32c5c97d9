/** Clusters for calls: what the reference told a gateway, which calls services the same way, is what we tell a waypoint. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { create, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import { loadAssignment } from "../../../src/controlplane/translate/waypoint/load-assignment.ts";
import { outboundClusters } from "../../../src/controlplane/translate/waypoint/outbound-clusters.ts";
import type { World } from "../../../src/controlplane/translate/waypoint/world.ts";
import { ClusterSchema } from "../../../src/shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../../src/shared/wire/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { DeltaDiscoveryResponseSchema } from "../../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import { plainMessage } from "../../support/plain-message.ts";
import { objectsOf } from "../../support/translate.ts";
import { shopWaypoint, viewOf } from "../../support/waypoint-view.ts";

const root = resolve(import.meta.dirname, "../../golden");

/** Without services that the reference's own controllers made, and that no input holds. */
function recorded(name: string, type: string, schema: DescMessage): Record<string, unknown> {
  const bytes = readFileSync(join(root, name, "router", `${type}.binpb`));
  const { resources } = fromBinary(DeltaDiscoveryResponseSchema, bytes);
  const ours = resources.filter(
    ({ name }) => /^outbound\|.*\.(shop|legacy)\./.test(name) && !name.includes("|kgw-istio."),
  );
  return Object.fromEntries(
    ours.map(({ name, resource }) => [
      name,
      plainMessage(schema, resource?.value ?? new Uint8Array()),
    ]),
  );
}

/** A gateway never speaks as its client did; a waypoint does so on ports of which nobody said what they speak. */
function withoutClientsProtocol(clusters: Record<string, unknown>): Record<string, unknown> {
  const { typedExtensionProtocolOptions: _options, ...rest } = clusters[SNIFFED] as Record<
    string,
    unknown
  >;
  return { ...clusters, [SNIFFED]: { ...rest, typedExtensionProtocolOptions: {} } };
}

const SNIFFED = "outbound|9090||ratings.shop.svc.cluster.local";

for (const name of ["gw-ingress-http", "gw-ingress-https-redirect"]) {
  test(`${name}: clusters for calls equal those of the reference's gateway`, () => {
    const { sources } = viewOf(objectsOf(readFileSync(join(root, name, "input.yaml"), "utf8")));
    const world: World = { ...sources, node: shopWaypoint, own: new Map() };
    const clusters: Record<string, unknown> = {};
    const assignments: Record<string, unknown> = {};
    for (const service of sources.services.all)
      for (const cluster of outboundClusters(world, service)) {
        const port = Number(cluster.name.split("|")[1]);
        const request = { clusterName: cluster.name, service, port, subset: "", outbound: true };
        const assignment = create(ClusterLoadAssignmentSchema, loadAssignment(world, request));
        clusters[cluster.name] = plainMessage(ClusterSchema, toBinary(ClusterSchema, cluster));
        assignments[cluster.name] = plainMessage(
          ClusterLoadAssignmentSchema,
          toBinary(ClusterLoadAssignmentSchema, assignment),
        );
      }
    assert.equal(Object.keys(clusters).length, 7);
    assert.deepEqual(withoutClientsProtocol(clusters), recorded(name, "Cluster", ClusterSchema));
    assert.deepEqual(
      assignments,
      recorded(name, "ClusterLoadAssignment", ClusterLoadAssignmentSchema),
    );
  });
}
