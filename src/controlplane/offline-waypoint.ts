/** What the control plane would tell a waypoint's pod about a set of objects, without running. Pure. */
import { type ObjectSnapshot, objectsOfKind } from "../shared/objects/source.ts";
import { allocateAddresses } from "./translate/auto-addresses.ts";
import { ObjectTable } from "./translate/objects.ts";
import type { RedirectedPods } from "./translate/redirection.ts";
import { ServiceBuilder } from "./translate/service-builder.ts";
import type { MeshSettings } from "./translate/settings.ts";
import { Translator } from "./translate/translate.ts";
import type { WaypointNode } from "./translate/waypoint/node.ts";
import { SourceBuilder } from "./translate/waypoint/sources.ts";
import { buildView } from "./translate/waypoint/view.ts";
import type { PublishedWorkload } from "./translate/workload-parts.ts";

/** Encoded messages, as they would be sent. */
export interface OfflineWaypointResources {
  readonly listeners: readonly Uint8Array[];
  readonly clusters: readonly Uint8Array[];
  readonly assignments: readonly Uint8Array[];
}

/** `waypoint`: the pod's workload. */
export function offlineWaypointResources(
  snapshot: ObjectSnapshot,
  settings: MeshSettings,
  redirected: RedirectedPods,
  waypoint: PublishedWorkload,
): OfflineWaypointResources {
  const autoAddresses = allocateAddresses(objectsOfKind(snapshot, "ServiceEntry"), new Map());
  const input = { objects: snapshot.objects, redirected, autoAddresses };
  const objects = new ObjectTable(snapshot.objects, settings.revision);
  const sources = new SourceBuilder(settings).build({
    objects,
    around: new ServiceBuilder(settings).build(objects, autoAddresses),
    workloads: new Translator(settings).translate(input).workloads,
    // Nothing is fetched here: tokens of issuers that serve their keys are told as refused.
    keySets: new Map(),
  });
  const view = buildView(sources, nodeOf(waypoint, snapshot, settings));
  return {
    listeners: view.listeners.map(({ bytes }) => bytes),
    clusters: view.clusters.map(({ bytes }) => bytes),
    assignments: view.endpoints.map(({ bytes }) => bytes),
  };
}

/** What the pod would say of itself. */
function nodeOf(
  { namespace, name, addresses, node, locality, network, serviceAccount }: PublishedWorkload,
  snapshot: ObjectSnapshot,
  settings: MeshSettings,
): WaypointNode {
  const metadata = snapshot.objects.get(`Pod/${namespace}/${name}`)?.metadata;
  return {
    namespace,
    podName: name,
    ips: addresses,
    labels: metadata?.labels ?? {},
    annotations: metadata?.annotations ?? {},
    nodeName: node,
    locality,
    network,
    clusterId: settings.clusterId,
    meshId: settings.trustDomain,
    serviceCluster: `${serviceAccount}.${namespace}`,
    version: undefined,
    idleTimeoutMs: undefined,
    acceptsHttp10: false,
    disableHboneSend: false,
  };
}
