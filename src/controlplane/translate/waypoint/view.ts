/**
 * One waypoint's resources: clusters, endpoints and listeners. What a service contributes is remembered together with what it
 * was made of, so that a change costs what it concerns; the internal listener is put together of its services' finished chains.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import {
  type Cluster,
  Cluster_DiscoveryType,
  ClusterSchema,
} from "../../../shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../../shared/wire/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { FilterChainSchema } from "../../../shared/wire/gen/envoy/config/listener/v3/listener_components_pb.js";
import { ListenerSchema } from "../../../shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import { Memo } from "../memo.ts";
import type { PublishedWorkload } from "../workload-parts.ts";
import type { FilterChainInit } from "./chains.ts";
import { type Encoded, encoded } from "./encoded.ts";
import { inspectors } from "./inspectors.ts";
import { fixedListeners, mainListener } from "./listeners.ts";
import { loadAssignment } from "./load-assignment.ts";
import { directChains, portChains, serviceRange, workloadRange } from "./main-chains.ts";
import { byAddress, type OnMatch, type RangeMatcher } from "./matching.ts";
import { MAIN_INTERNAL, parseClusterName } from "./names.ts";
import type { WaypointNode } from "./node.ts";
import { calledServices, outboundClusters } from "./outbound-clusters.ts";
import { ownServices, ownWorkloads, waypointKey } from "./ownership.ts";
import { serviceClusters } from "./service-clusters.ts";
import type { L7Service } from "./services.ts";
import type { Sources } from "./sources.ts";
import { staticClusters } from "./static-clusters.ts";
import { subjectParts } from "./subject.ts";
import { applicableTelemetry } from "./telemetry.ts";
import { bytesField, concat } from "./wire.ts";
import type { World } from "./world.ts";

export interface WaypointView {
  readonly clusters: readonly Encoded[];
  readonly endpoints: readonly Encoded[];
  readonly listeners: readonly Encoded[];
}

/** A service's chains and the way to them. */
interface ServiceListening {
  readonly chains: readonly Uint8Array[];
  readonly range: RangeMatcher | undefined;
}

interface ClusterGroup {
  readonly clusters: readonly Encoded[];
  /** Names of those whose endpoints are told apart from them. */
  readonly discovered: readonly string[];
}

/** Of `Listener.filter_chains`. */
const FILTER_CHAINS = 3;

/** For one node, or several that are alike in everything that a view depends on. */
export class ViewBuilder {
  readonly #node: WaypointNode;
  readonly #clusters = new Memo<string, ClusterGroup>();
  readonly #endpoints = new Memo<string, Encoded>();
  readonly #listening = new Memo<string, ServiceListening>();
  readonly #whole = new Memo<string, Encoded>();
  readonly #fixed = new Memo<string, readonly Encoded[]>();

  constructor(node: WaypointNode) {
    this.#node = node;
  }

  build(sources: Sources): WaypointView {
    const key = waypointKey(sources, this.#node);
    const services = ownServices(sources, key);
    const workloads = ownWorkloads(sources, key);
    const { mesh, rules, routes, sidecarTls, instances } = sources;
    const own = new Map(services.map((service) => [service.hostname, service]));
    const directory = sources.services;
    const world: World = {
      ...{ mesh, node: this.#node, services: directory, own },
      ...{ rules, routes, sidecarTls, instances },
    };
    const view = {
      ...this.#clustersAndEndpoints(world, services),
      listeners: this.#listeners(sources, world, services, workloads),
    };
    for (const memo of [this.#clusters, this.#endpoints, this.#listening, this.#whole, this.#fixed])
      memo.endPass();
    return view;
  }

  #clustersAndEndpoints(
    world: World,
    services: readonly L7Service[],
  ): Pick<WaypointView, "clusters" | "endpoints"> {
    const { mesh, node } = world;
    const fixed = this.#fixed.get("clusters", [mesh], () =>
      staticClusters(mesh, node).map((init) =>
        encoded(init.name ?? "", ClusterSchema, create(ClusterSchema, init)),
      ),
    );
    const own = services.map((service) => this.#group(world, service, false));
    const called = calledServices(world).map((service) => this.#group(world, service, true));
    const groups = [...own, ...called];
    return {
      clusters: [...fixed, ...groups.flatMap(({ clusters }) => clusters)],
      endpoints: groups.flatMap(({ discovered }) =>
        discovered.flatMap((name) => this.#assignment(world, name) ?? []),
      ),
    };
  }

  #group(world: World, service: L7Service, outbound: boolean): ClusterGroup {
    const { mesh, rules, sidecarTls, instances } = world;
    // Endpoints are told by themselves, but for names to resolve; to others the identities of endpoints matter as well.
    const members =
      outbound || service.resolution !== "Endpoints" ? instances.get(service.key) : [];
    const ingredients = [mesh, service, rules, sidecarTls, members ?? []];
    return this.#clusters.get(`${outbound ? "out" : "in"} ${service.key}`, ingredients, () => {
      const made = outbound ? outboundClusters(world, service) : serviceClusters(world, service);
      return {
        clusters: made.map((cluster) => encoded(cluster.name, ClusterSchema, cluster)),
        discovered: made.filter(isDiscovered).map(({ name }) => name),
      };
    });
  }

  #assignment(world: World, name: string): Encoded | undefined {
    const parsed = parseClusterName(name);
    if (parsed === undefined) return undefined;
    const outbound = parsed.direction === "outbound";
    const service = outbound
      ? world.services.find(parsed.hostname, world.node.namespace)
      : world.own.get(parsed.hostname);
    if (service === undefined) return undefined;
    const { mesh, rules, instances } = world;
    const ingredients = [mesh, service, rules, instances.get(service.key) ?? []];
    return this.#endpoints.get(name, ingredients, () => {
      const { port } = parsed;
      const subset = outbound ? parsed.subset : parsed.subset.replace(/^(http|tcp)\/?/, "");
      const init = loadAssignment(world, { clusterName: name, service, port, subset, outbound });
      const message = create(ClusterLoadAssignmentSchema, init);
      return encoded(name, ClusterLoadAssignmentSchema, message);
    });
  }

  #listeners(
    sources: Sources,
    world: World,
    services: readonly L7Service[],
    workloads: readonly PublishedWorkload[],
  ): readonly Encoded[] {
    const { mesh, node } = world;
    const { policies } = sources;
    const telemetry = applicableTelemetry(policies.telemetry, undefined, node, mesh);
    const fixed = this.#fixed.get("listeners", [mesh, policies, world.services], () =>
      fixedListeners(world, telemetry).map((one) => encoded(one.name, ListenerSchema, one)),
    );
    const parts = services.map((service) => this.#listeningOf(sources, world, service, services));
    const direct = this.#listening.get("direct", [mesh, policies, world.services], () => ({
      chains: directChains(world, subjectParts(world, policies, undefined)).map(encodeChain),
      range: undefined,
    }));
    const all = [...parts, direct];
    const main = this.#whole.get("main", [mesh, policies, services, workloads, all], () => {
      const forWorkloads = workloadRange(workloads);
      const ranges = parts.flatMap(({ range }) => range ?? []);
      const head = mainListener(world, telemetry, {
        listenerFilters: inspectors(services, workloads.length > 0),
        filterChainMatcher: byAddress(
          forWorkloads === undefined ? ranges : [...ranges, forWorkloads],
        ),
      });
      const chains = all.flatMap((one) => one.chains);
      return { name: MAIN_INTERNAL, bytes: concat([toBinary(ListenerSchema, head), ...chains]) };
    });
    return [...fixed, main];
  }

  #listeningOf(
    sources: Sources,
    world: World,
    service: L7Service,
    own: readonly L7Service[],
  ): ServiceListening {
    const { policies } = sources;
    const { mesh, rules, routes } = world;
    const ingredients = [mesh, service, own, rules, routes, policies, world.services];
    return this.#listening.get(service.key, ingredients, () => {
      const parts = subjectParts(world, policies, service);
      const chains: Uint8Array[] = [];
      const ports = new Map<number, OnMatch>();
      for (const port of service.ports) {
        const made = portChains(world, service, port, parts);
        if (made === undefined) continue;
        chains.push(...made.chains.map(encodeChain));
        ports.set(port.number, made.onMatch);
      }
      return { chains, range: serviceRange(world, service, ports) };
    });
  }
}

/** A single view of a moment. */
export function buildView(sources: Sources, node: WaypointNode): WaypointView {
  return new ViewBuilder(node).build(sources);
}

function isDiscovered({ clusterDiscoveryType }: Cluster): boolean {
  return clusterDiscoveryType.value === Cluster_DiscoveryType.EDS;
}

function encodeChain(init: FilterChainInit): Uint8Array {
  return bytesField(FILTER_CHAINS, toBinary(FilterChainSchema, create(FilterChainSchema, init)));
}
