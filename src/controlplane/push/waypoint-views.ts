/**
 * What each waypoint is told: its clusters, endpoints and listeners as finished bytes. Instances that are told the same share
 * one view; a resource whose bytes did not change stays the same one, so that a change elsewhere sends nothing.
 */
import type { Node } from "../../shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import type { Encoded } from "../translate/waypoint/encoded.ts";
import { viewKey } from "../translate/waypoint/node.ts";
import type { Sources } from "../translate/waypoint/sources.ts";
import { ViewBuilder } from "../translate/waypoint/view.ts";
import { contentVersion, difference } from "./snapshot.ts";
import {
  clusterType,
  endpointType,
  listenerType,
  type PushResource,
  type ResourceTable,
  type WaypointResources,
  type WaypointTables,
  type WaypointTypeUrl,
} from "./types.ts";
import { waypointNode } from "./waypoint-node.ts";

const emptyTable: ResourceTable = { byName: new Map() };
const nothing: WaypointTables = {
  [clusterType]: emptyTable,
  [endpointType]: emptyTable,
  [listenerType]: emptyTable,
};

interface KnownView {
  readonly builder: ViewBuilder;
  readonly resources: WaypointResources;
}

export class WaypointViews {
  readonly #sources: () => Sources;
  readonly #clusterDomain: string;
  /** Made since the state last moved, and those of the state before. */
  #current = new Map<string, KnownView>();
  #previous = new Map<string, KnownView>();

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
    if (known !== undefined) return known.resources;
    const previous = this.#previous.get(key);
    const before = previous?.resources.tables ?? nothing;
    const builder = previous?.builder ?? new ViewBuilder(waypoint);
    const view = builder.build(sources);
    const tables = {
      [clusterType]: tableOf(view.clusters, before[clusterType]),
      [endpointType]: tableOf(view.endpoints, before[endpointType]),
      [listenerType]: tableOf(view.listeners, before[listenerType]),
    };
    const changed = (type: WaypointTypeUrl) => difference(before[type], tables[type]);
    const resources: WaypointResources = {
      tables,
      before,
      change: {
        [clusterType]: changed(clusterType),
        [endpointType]: changed(endpointType),
        [listenerType]: changed(listenerType),
      },
    };
    this.#current.set(key, { builder, resources });
    return resources;
  }
}

/** Bytes that are the same, by reference or by content, stay the same resource. */
function tableOf(encoded: readonly Encoded[], before: ResourceTable): ResourceTable {
  const byName = new Map<string, PushResource>();
  for (const { name, bytes } of encoded) {
    const known = before.byName.get(name);
    const same =
      known !== undefined && (known.bytes === bytes || Buffer.compare(known.bytes, bytes) === 0);
    byName.set(name, same ? known : resource(name, bytes));
  }
  return { byName };
}

function resource(name: string, bytes: Uint8Array): PushResource {
  return { name, version: contentVersion(bytes), bytes, aliases: [], services: [], node: "" };
}
