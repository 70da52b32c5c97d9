/** What drives a waypoint in a case: what the reference sent, or what our own control plane makes of the case's objects. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { offlineWaypointResources } from "../../../../src/controlplane/offline-waypoint.ts";
import { SnapshotBuilder } from "../../../../src/controlplane/push/snapshot.ts";
import { defaultMeshSettings } from "../../../../src/controlplane/translate/settings.ts";
import type { AccessLog } from "../../../../src/shared/wire/gen/envoy/config/accesslog/v3/accesslog_pb.js";
import { ClusterSchema } from "../../../../src/shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../../../src/shared/wire/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import {
  type Listener,
  ListenerSchema,
} from "../../../../src/shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import { FileAccessLogSchema } from "../../../../src/shared/wire/gen/envoy/extensions/access_loggers/file/v3/file_pb.js";
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
} from "../../../../src/shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { TcpProxySchema } from "../../../../src/shared/wire/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { DeltaDiscoveryResponse } from "../../../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import {
  clusterType,
  endpointsType,
  listenerType,
  workloadType,
} from "../../../../src/waypoint/xds/types.ts";
import { objectsOf, translate, workloadOf } from "../../translate.ts";
import { changeListener, recordedResources, waypointIp } from "../stage.ts";

type Resource = DeltaDiscoveryResponse["resources"][number];
export type CaseResources = Map<string, Map<string, Resource>>;

export const goldenDir = resolve(import.meta.dirname, "../../../golden");

function resource(typeUrl: string, name: string, value: Uint8Array): Resource {
  return { name, version: "1", aliases: [], resource: { typeUrl, value } } as unknown as Resource;
}

/** As our control plane would send them for the case's objects. */
export function ownResources(golden: string): CaseResources {
  const text = readFileSync(join(goldenDir, golden, "input.yaml"), "utf8");
  const state = translate(text);
  const snapshot = { revision: 1, objects: objectsOf(text), problems: [], skipped: [] };
  const { listeners, clusters, assignments } = offlineWaypointResources(
    snapshot,
    defaultMeshSettings,
    new Map(),
    workloadOf(state, "waypoint-0"),
  );
  const named = (
    typeUrl: string,
    all: readonly Uint8Array[],
    nameOf: (bytes: Uint8Array) => string,
  ) => new Map(all.map((bytes) => [nameOf(bytes), resource(typeUrl, nameOf(bytes), bytes)]));
  const workloads = new SnapshotBuilder().next(state).snapshot.tables[workloadType].byName;
  const resources: CaseResources = new Map([
    [clusterType, named(clusterType, clusters, (bytes) => fromBinary(ClusterSchema, bytes).name)],
    [
      endpointsType,
      named(
        endpointsType,
        assignments,
        (bytes) => fromBinary(ClusterLoadAssignmentSchema, bytes).clusterName,
      ),
    ],
    [
      listenerType,
      named(listenerType, listeners, (bytes) => fromBinary(ListenerSchema, bytes).name),
    ],
    [
      workloadType,
      new Map(
        [...workloads].map(([name, { bytes }]) => [name, resource(workloadType, name, bytes)]),
      ),
    ],
  ]);
  changeListener(resources, "connect_terminate", (listener) => {
    if (listener.address?.address.case === "socketAddress")
      listener.address.address.value.address = waypointIp;
  });
  return resources;
}

export type Source = "recorded" | "own";

export function caseResources(golden: string, source: Source): CaseResources {
  return source === "recorded" ? recordedResources(golden) : ownResources(golden);
}

/** Changes a packed message in place, if it is of this type. */
export function repack<D extends DescMessage>(
  any: Any | undefined,
  schema: D,
  change: (message: MessageShape<D>) => void,
): void {
  if (any === undefined || !any.typeUrl.endsWith(`/${schema.typeName}`)) return;
  const message = fromBinary(schema, any.value);
  change(message);
  any.value = toBinary(schema, message);
}

export function eachConnectionManager(
  listener: Listener,
  change: (manager: HttpConnectionManager) => void,
): void {
  eachFilter(listener, (filter) => repack(filter, HttpConnectionManagerSchema, change));
}

function eachFilter(listener: Listener, change: (filter: Any) => void): void {
  for (const { filters } of listener.filterChains)
    for (const { configType } of filters)
      if (configType.case === "typedConfig") change(configType.value);
}

/** Access logs that go to the standard output go to this file instead. */
export function logTo(resources: CaseResources, path: string): void {
  const redirect = (logs: readonly AccessLog[]): void => {
    for (const { configType } of logs)
      if (configType.case === "typedConfig")
        repack(configType.value, FileAccessLogSchema, (log) => {
          if (log.path === "/dev/stdout") log.path = path;
        });
  };
  for (const name of resources.get(listenerType)?.keys() ?? [])
    changeListener(resources, name, (listener) => {
      redirect(listener.accessLog);
      eachConnectionManager(listener, ({ accessLog }) => redirect(accessLog));
      eachFilter(listener, (filter) =>
        repack(filter, TcpProxySchema, ({ accessLog }) => redirect(accessLog)),
      );
    });
}

/** The address that the control plane gave to a host that has none of its own. */
export function givenAddress(resources: CaseResources): string {
  const bytes = resources.get(listenerType)?.get("main_internal")?.resource?.value;
  return /240\.240\.\d+\.\d+/.exec(Buffer.from(bytes ?? []).toString("latin1"))?.[0] ?? "";
}
