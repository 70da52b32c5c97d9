/**
 * What each waypoint is told: its clusters, endpoints and listeners as finished bytes. Instances that are told the same share
 * one view; a resource whose bytes did not change stays the same one, so that a change elsewhere sends nothing.
 */
import { create, type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { ClusterSchema } from "../../shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../shared/wire/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "../../shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import type { Node } from "../../shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import { viewKey } from "../translate/waypoint/node.ts";
import type { Sources } from "../translate/waypoint/sources.ts";
import { buildView } from "../translate/waypoint/view.ts";
import { contentVersion, difference } from "./snapshot.ts";
import {
  clusterType,
  endpointType,
  listenerType,
  type PushResource,
  type ResourceTable,
  type WaypointResources,
  type WaypointTypeUrl,
} from "./types.ts";
import { waypointNode } from "./waypoint-node.ts";

type Tables = WaypointResources["tables"];

const emptyTable: ResourceTable = { byName: new Map() };
const nothing: Tables = {
  [clusterType]: emptyTable,
  [endpointType]: emptyTable,
  [listenerType]: emptyTable,
};

export class WaypointViews {
  readonly #sources: () => Sources;
  readonly #clusterDomain: string;
  /** Made since the state last moved, and those of the state before. */
  #current = new Map<string, WaypointResources>();
  #previous = new Map<string, WaypointResources>();

  /** `sources`: the mesh as the newest state has it; the same reference while nothing moved. */
  constructor(sources: () => Sources, clusterDomain: string) {
    this.#sources = sources;
    this.#clusterDomain = clusterDomain;
  }

  /** Views are made anew when they are next asked for; those that nobody asked for are forgotten. */
  stateMoved(): void {
    this.#previous = this.#current;
    this.#current = new Map();
  }

  resourcesFor(node: Node): WaypointResources {
    const sources = this.#sources();
    const waypoint = waypointNode(node, sources, this.#clusterDomain);
    const key = viewKey(waypoint);
    const known = this.#current.get(key);
    if (known !== undefined) return known;
    const before = this.#previous.get(key)?.tables ?? nothing;
    const view = buildView(sources, waypoint);
    const assignments = view.endpoints.map((one) => create(ClusterLoadAssignmentSchema, one));
    const tables = {
      [clusterType]: encode(ClusterSchema, view.clusters, nameOf, before[clusterType]),
      [endpointType]: encode(
        ClusterLoadAssignmentSchema,
        assignments,
        ({ clusterName }) => clusterName,
        before[endpointType],
      ),
      [listenerType]: encode(ListenerSchema, view.listeners, nameOf, before[listenerType]),
    };
    const changed = (type: WaypointTypeUrl) => difference(before[type], tables[type]);
    const resources: WaypointResources = {
      tables,
      change: {
        [clusterType]: changed(clusterType),
        [endpointType]: changed(endpointType),
        [listenerType]: changed(listenerType),
      },
    };
    this.#current.set(key, resources);
    return resources;
  }
}

function nameOf({ name }: { readonly name: string }): string {
  return name;
}

function encode<D extends DescMessage>(
  schema: D,
  messages: readonly MessageShape<D>[],
  nameOf: (message: MessageShape<D>) => string,
  before: ResourceTable,
): ResourceTable {
  const byName = new Map<string, PushResource>();
  for (const message of messages) {
    const name = nameOf(message);
    const bytes = toBinary(schema, message);
    const known = before.byName.get(name);
    const same = known !== undefined && Buffer.compare(known.bytes, bytes) === 0;
    byName.set(name, same ? known : resource(name, bytes));
  }
  return { byName };
}

function resource(name: string, bytes: Uint8Array): PushResource {
  return { name, version: contentVersion(bytes), bytes, aliases: [], services: [], node: "" };
}
