/** Objects → what one waypoint is told, as plain data. */
import type { DescMessage } from "@bufbuild/protobuf";
import { allocateAddresses } from "../../src/controlplane/translate/auto-addresses.ts";
import { ObjectTable } from "../../src/controlplane/translate/objects.ts";
import { ServiceBuilder } from "../../src/controlplane/translate/service-builder.ts";
import {
  defaultMeshSettings,
  type MeshSettings,
} from "../../src/controlplane/translate/settings.ts";
import { Translator } from "../../src/controlplane/translate/translate.ts";
import type { Encoded } from "../../src/controlplane/translate/waypoint/encoded.ts";
import type { WaypointNode } from "../../src/controlplane/translate/waypoint/node.ts";
import { SourceBuilder, type Sources } from "../../src/controlplane/translate/waypoint/sources.ts";
import { buildView, type WaypointView } from "../../src/controlplane/translate/waypoint/view.ts";
import type { MeshObject, ObjectKey } from "../../src/shared/objects/kinds.ts";
import { ClusterSchema } from "../../src/shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../src/shared/wire/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "../../src/shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import { plainMessage } from "./plain-message.ts";

/** The waypoint of the recordings: `waypoint-0` in the namespace `shop`. */
export const shopWaypoint: WaypointNode = {
  namespace: "shop",
  podName: "waypoint-0",
  ips: ["10.10.2.50"] as unknown as WaypointNode["ips"],
  labels: {
    "gateway.networking.k8s.io/gateway-name": "waypoint",
    "gateway.networking.k8s.io/gateway-class-name": "istio-waypoint",
    "gateway.istio.io/managed": "istio.io-mesh-controller",
    "istio.io/dataplane-mode": "none",
    "service.istio.io/canonical-name": "waypoint",
    "service.istio.io/canonical-revision": "latest",
    "sidecar.istio.io/inject": "false",
  },
  annotations: {},
  nodeName: "node2",
  locality: { region: "r1", zone: "z2", subzone: "" },
  network: "",
  clusterId: "Kubernetes",
  meshId: "",
  serviceCluster: "waypoint.shop",
  version: undefined,
  idleTimeoutMs: undefined,
  acceptsHttp10: false,
  disableHboneSend: false,
};

export interface ViewOptions {
  readonly node?: Partial<WaypointNode>;
  readonly settings?: Partial<MeshSettings>;
  readonly keySets?: ReadonlyMap<string, string>;
  readonly handedOut?: readonly (readonly [string, readonly string[]])[];
}

export interface TestView {
  readonly sources: Sources;
  readonly view: WaypointView;
}

export function viewOf(
  objects: ReadonlyMap<ObjectKey, MeshObject>,
  options: ViewOptions = {},
): TestView {
  const settings = { ...defaultMeshSettings, ...options.settings };
  const entries = [...objects.values()].filter((object) => object.kind === "ServiceEntry");
  const autoAddresses = allocateAddresses(entries, new Map(options.handedOut));
  const state = new Translator(settings).translate({
    objects,
    redirected: new Map(),
    autoAddresses,
  });
  const table = new ObjectTable(objects, settings.revision);
  const sources = new SourceBuilder(settings).build({
    objects: table,
    around: new ServiceBuilder(settings).build(table, autoAddresses),
    workloads: state.workloads,
    keySets: options.keySets ?? new Map(),
  });
  return { sources, view: buildView(sources, { ...shopWaypoint, ...options.node }) };
}

export type PlainResources = Readonly<Record<string, unknown>>;

function plain(schema: DescMessage, resources: readonly Encoded[]): PlainResources {
  return Object.fromEntries(
    resources.map(({ name, bytes }) => [name, plainMessage(schema, bytes)]),
  );
}

export function plainClusters({ view }: TestView): PlainResources {
  return plain(ClusterSchema, view.clusters);
}

export function plainListeners({ view }: TestView): PlainResources {
  return plain(ListenerSchema, view.listeners);
}

export function plainEndpoints({ view }: TestView): PlainResources {
  return plain(ClusterLoadAssignmentSchema, view.endpoints);
}
