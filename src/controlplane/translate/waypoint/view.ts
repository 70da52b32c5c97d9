/** One waypoint's resources: clusters, endpoints and listeners, as messages. */
import { create } from "@bufbuild/protobuf";
import {
  type Cluster,
  Cluster_DiscoveryType,
  ClusterSchema,
} from "../../../shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import { FilterChainSchema } from "../../../shared/wire/gen/envoy/config/listener/v3/listener_components_pb.js";
import type { Listener } from "../../../shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import type { PublishedWorkload } from "../workload-parts.ts";
import type { FilterChainInit } from "./chains.ts";
import { inspectors } from "./inspectors.ts";
import { InstanceTable } from "./instances.ts";
import { fixedListeners, mainListener } from "./listeners.ts";
import { type LoadAssignment, loadAssignment } from "./load-assignment.ts";
import { directChains, portChains, serviceRange, workloadRange } from "./main-chains.ts";
import { byAddress, type OnMatch, type RangeMatcher } from "./matching.ts";
import { parseClusterName } from "./names.ts";
import type { WaypointNode } from "./node.ts";
import { ownServices, ownWorkloads, waypointKey } from "./ownership.ts";
import { serviceClusters } from "./service-clusters.ts";
import type { L7Service } from "./services.ts";
import type { Sources } from "./sources.ts";
import { staticClusters } from "./static-clusters.ts";
import { subjectParts } from "./subject.ts";
import { applicableTelemetry } from "./telemetry.ts";
import type { World } from "./world.ts";

export interface WaypointView {
  readonly clusters: readonly Cluster[];
  readonly endpoints: readonly LoadAssignment[];
  readonly listeners: readonly Listener[];
}

export function buildView(sources: Sources, node: WaypointNode): WaypointView {
  const key = waypointKey(sources, node);
  const services = ownServices(sources, key);
  const workloads = ownWorkloads(sources, key);
  const world: World = {
    mesh: sources.mesh,
    node,
    services: sources.services,
    own: new Map(services.map((service) => [service.hostname, service])),
    rules: sources.rules,
    routes: sources.routes,
    instances: new InstanceTable().build(
      sources.workloads,
      sources.objects,
      new Set(services.map((service) => service.key)),
    ),
  };
  const perService = services.flatMap((service) => serviceClusters(world, service));
  return {
    clusters: [
      ...staticClusters(sources.mesh, node).map((init) => create(ClusterSchema, init)),
      ...perService,
    ],
    endpoints: perService.flatMap((cluster) => endpointsOf(world, cluster)),
    listeners: listenersOf(sources, world, services, workloads),
  };
}

function endpointsOf(world: World, cluster: Cluster): LoadAssignment[] {
  if (cluster.clusterDiscoveryType.value !== Cluster_DiscoveryType.EDS) return [];
  const parsed = parseClusterName(cluster.name);
  const service = parsed && world.own.get(parsed.hostname);
  if (parsed === undefined || service === undefined) return [];
  const subset = parsed.subset.replace(/^(http|tcp)\/?/, "");
  const { name } = cluster;
  return [
    loadAssignment(world, {
      clusterName: name,
      service,
      port: parsed.port,
      subset,
      outbound: false,
    }),
  ];
}

function listenersOf(
  sources: Sources,
  world: World,
  services: readonly L7Service[],
  workloads: readonly PublishedWorkload[],
): readonly Listener[] {
  const { mesh, node } = world;
  const telemetry = applicableTelemetry(sources.policies.telemetry, undefined, node, mesh);
  const chains: FilterChainInit[] = [];
  const ranges: RangeMatcher[] = [];
  for (const service of services) {
    const parts = subjectParts(world, sources.policies, service);
    const ports = new Map<number, OnMatch>();
    for (const port of service.ports) {
      const made = portChains(world, service, port, parts);
      if (made === undefined) continue;
      chains.push(...made.chains);
      ports.set(port.number, made.onMatch);
    }
    const serviceMatch = serviceRange(world, service, ports);
    if (serviceMatch !== undefined) ranges.push(serviceMatch);
  }
  chains.push(...directChains(world, subjectParts(world, sources.policies, undefined)));
  const workloadMatch = workloadRange(workloads);
  if (workloadMatch !== undefined) ranges.push(workloadMatch);
  const main = mainListener(world, telemetry, {
    listenerFilters: inspectors(services, workloads.length > 0),
    filterChainMatcher: byAddress(ranges),
  });
  main.filterChains = chains.map((init) => create(FilterChainSchema, init));
  return [...fixedListeners(world, telemetry), main];
}
