/** Builds waypoints, networks and services of a pass, in that order, because each needs the one before. */
import type { ServiceKey } from "../../shared/model/workload.ts";
import type { ObjectKey, ObjectOf } from "../../shared/objects/kinds.ts";
import { Memo } from "./memo.ts";
import { NETWORK_LABEL } from "./names.ts";
import { buildNetworks, type Networks } from "./networks.ts";
import type { ObjectTable } from "./objects.ts";
import { selectServices } from "./select-services.ts";
import {
  type AutoAddresses,
  autoAddressKey,
  buildServiceEntry,
  hostsToAddress,
} from "./service-entries.ts";
import type { PublishedService, ServiceInfo } from "./service-info.ts";
import { ServiceTable } from "./service-table.ts";
import { buildService, isMeshGateway, type NamespaceFacts } from "./services.ts";
import type { MeshSettings } from "./settings.ts";
import { type EntryVisibility, visibilityRules } from "./visibility.ts";
import {
  bindService,
  refusal,
  type Waypoint,
  WaypointBuilder,
  type WaypointTable,
} from "./waypoints.ts";
import { bindWeighted, type WeightedBinding } from "./weighted-waypoints.ts";

/** The mesh around its workloads. */
export interface Surroundings {
  readonly networks: Networks;
  readonly waypoints: WaypointTable;
  readonly services: ServiceTable;
  /** The services as they are sent. */
  readonly published: ReadonlyMap<ServiceKey, PublishedService>;
  /** What became of each service's wish for a waypoint. */
  readonly bindings: ReadonlyMap<ObjectKey, WeightedBinding>;
}

type ServiceLike = ObjectOf<"Service"> | ObjectOf<"ServiceEntry">;

/** What services, waypoints and networks are made of. */
const surroundingKinds = [
  "ConfigMap",
  "Namespace",
  "Service",
  "ServiceEntry",
  "EndpointSlice",
  "Gateway",
  "GatewayClass",
] as const;

const noNamespace: NamespaceFacts = { labels: {}, annotations: {} };

export class ServiceBuilder {
  readonly #settings: MeshSettings;
  readonly #waypoints: WaypointBuilder;
  readonly #whole = new Memo<"whole", Surroundings>();
  readonly #networks = new Memo<"networks", Networks>();
  readonly #infos = new Memo<ObjectKey, readonly ServiceInfo[]>();
  readonly #canonical = new Memo<string, ServiceInfo>();
  #services: ServiceTable | undefined;

  constructor(settings: MeshSettings) {
    this.#settings = settings;
    this.#waypoints = new WaypointBuilder(settings);
  }

  /** The same reference while none of its objects changed. */
  build(objects: ObjectTable, auto: AutoAddresses): Surroundings {
    const ingredients = [...surroundingKinds.map((kind) => objects.ofKind(kind)), auto];
    const surroundings = this.#whole.getByReference("whole", ingredients, () =>
      this.#rebuild(objects, auto),
    );
    this.#whole.endPass();
    return surroundings;
  }

  #rebuild(objects: ObjectTable, auto: AutoAddresses): Surroundings {
    const networks = this.#buildNetworks(objects);
    const waypoints = this.#waypoints.build(objects, networks.local);
    const rules = visibilityRules(objects, this.#settings);
    const bindings = new Map<ObjectKey, WeightedBinding>();
    const infos: ServiceInfo[] = [];
    for (const object of [...objects.ofKind("Service"), ...objects.ofKind("ServiceEntry")]) {
      const visibility = rules.visibilityFor(objects.namespaceLabels(object.metadata.namespace));
      const weighted = bind(object, visibility, waypoints, objects);
      bindings.set(object.key, weighted);
      infos.push(...this.#infosOf(object, { weighted, visibility }, objects, networks.local, auto));
    }
    const selected = selectServices(infos, (info) => this.#asCanonical(info));
    const slices = objects.ofKind("EndpointSlice");
    const services = new ServiceTable(selected, slices, this.#settings, this.#services);
    this.#services = services;
    for (const memo of [this.#networks, this.#infos, this.#canonical]) memo.endPass();
    const published = new Map([...services.byKey].map(([key, info]) => [key, info.service]));
    return { networks, waypoints, services, published, bindings };
  }

  #buildNetworks(objects: ObjectTable): Networks {
    const gateways = objects
      .ofKind("Gateway")
      .filter(({ metadata }) => NETWORK_LABEL in metadata.labels);
    const ingredients = [objects.namespace(this.#settings.rootNamespace), gateways];
    return this.#networks.get("networks", ingredients, () =>
      buildNetworks(objects, this.#settings),
    );
  }

  #infosOf(
    object: ServiceLike,
    {
      weighted,
      visibility,
    }: { readonly weighted: WeightedBinding; readonly visibility: EntryVisibility },
    objects: ObjectTable,
    network: string,
    auto: AutoAddresses,
  ): readonly ServiceInfo[] {
    const namespace = objects.namespace(object.metadata.namespace);
    const ingredients = [
      object,
      namespace,
      network,
      visibility,
      ...bindingIngredients(weighted),
      ...autoIngredients(object, auto),
    ];
    return this.#infos.get(object.key, ingredients, () => {
      const facts = namespace?.metadata ?? noNamespace;
      if (object.kind === "ServiceEntry")
        return buildServiceEntry(object, weighted, facts, network, auto, visibility);
      const info = buildService(object, weighted, facts, network, this.#settings);
      return info === undefined ? [] : [info];
    });
  }

  #asCanonical(info: ServiceInfo): ServiceInfo {
    if (info.service.canonical) return info;
    return this.#canonical.get(
      `${info.service.namespace}/${info.service.hostname}`,
      [info],
      () => ({
        ...info,
        service: { ...info.service, canonical: true },
      }),
    );
  }
}

function bind(
  object: ServiceLike,
  visibility: EntryVisibility,
  waypoints: WaypointTable,
  objects: ObjectTable,
): WeightedBinding {
  if (isMeshGateway(object)) return { binding: { kind: "none" }, weighted: [] };
  const binding = bindService(object.metadata, waypoints, objects);
  const foreign =
    binding.kind === "bound" && binding.waypoint.namespace !== object.metadata.namespace;
  // A waypoint elsewhere would carry the entry out of the namespace that may see it.
  if (foreign && object.kind === "ServiceEntry" && visibility === "Namespace") {
    const message = `cannot bind to waypoint "${binding.waypoint.key}" in another namespace: the ServiceEntry is visible in its own namespace only`;
    return { binding: refusal("CrossNamespaceWaypointForbidden", message), weighted: [] };
  }
  return bindWeighted(object.metadata, binding, waypoints, objects);
}

function bindingIngredients({
  binding,
  weighted,
  canaryFault,
}: WeightedBinding): readonly unknown[] {
  const waypoint: Waypoint | string =
    binding.kind === "bound"
      ? binding.waypoint
      : binding.kind === "refused"
        ? binding.message
        : "none";
  return [
    waypoint,
    canaryFault?.message,
    weighted.flatMap(({ destination, weight }) => [destination, weight]),
  ];
}

function autoIngredients(object: ServiceLike, auto: AutoAddresses): readonly unknown[] {
  if (object.kind === "Service") return [];
  return hostsToAddress(object).map((host) => auto.get(autoAddressKey(object, host))?.join(" "));
}
