/** The mesh in the form in which all waypoints' views read it: made once for all of them, and again only where it changed. */
import type { ServiceKey } from "../../../shared/model/workload.ts";
import type { Kind, ObjectOf } from "../../../shared/objects/kinds.ts";
import { Memo, sameIngredients } from "../memo.ts";
import type { ObjectTable } from "../objects.ts";
import type { Surroundings } from "../service-builder.ts";
import type { MeshSettings } from "../settings.ts";
import type { PublishedWorkload } from "../workload-parts.ts";
import { byAgeAndName } from "./age.ts";
import { DestinationRules } from "./destination-rules.ts";
import { type Instance, InstanceTable } from "./instances.ts";
import { type Mesh, meshOf } from "./mesh.ts";
import type { KeySets } from "./policies/tokens.ts";
import { gatewayRoutes } from "./routes/gateway-api/sources.ts";
import { type RouteSource, RouteTable } from "./routes/sources.ts";
import { virtualServiceSources } from "./routes/virtual-services.ts";
import { type L7Service, l7Service, ServiceDirectory } from "./services.ts";
import { SidecarTls } from "./sidecar-tls.ts";
import type { PolicyTables } from "./subject.ts";

export interface Sources {
  readonly objects: ObjectTable;
  readonly around: Surroundings;
  readonly workloads: ReadonlyMap<string, PublishedWorkload>;
  readonly mesh: Mesh;
  readonly services: ServiceDirectory;
  readonly rules: DestinationRules;
  readonly routes: RouteTable;
  readonly policies: PolicyTables;
  readonly sidecarTls: SidecarTls;
  /** The endpoints of every service. */
  readonly instances: ReadonlyMap<ServiceKey, readonly Instance[]>;
}

export interface SourceInput {
  readonly objects: ObjectTable;
  readonly around: Surroundings;
  readonly workloads: ReadonlyMap<string, PublishedWorkload>;
  readonly keySets: KeySets;
}

export class SourceBuilder {
  readonly #settings: MeshSettings;
  readonly #memo = new Memo<string, unknown>();
  readonly #instances = new InstanceTable();
  readonly #l7 = new Memo<ServiceKey, L7Service>();
  #services: ServiceDirectory | undefined;

  constructor(settings: MeshSettings) {
    this.#settings = settings;
  }

  build({ objects, around, workloads, keySets }: SourceInput): Sources {
    const mesh = this.#remember("mesh", [objects.ofKind("ConfigMap")], () =>
      meshOf(objects, this.#settings),
    );
    const services = this.#directory(around, objects);
    const rules = this.#remember(
      "rules",
      [objects.ofKind("DestinationRule"), mesh],
      () => new DestinationRules(objects.ofKind("DestinationRule"), mesh),
    );
    const gatewayApi = this.#gatewayApi(objects, services, mesh);
    const virtualServices = objects.ofKind("VirtualService");
    const routes = this.#remember(
      "routes",
      [virtualServices, mesh, gatewayApi],
      () => new RouteTable([...virtualServiceSources(virtualServices, mesh), ...gatewayApi]),
    );
    const peers = objects.ofKind("PeerAuthentication");
    const sidecarTls = this.#remember(
      "sidecar-tls",
      [peers, mesh],
      () => new SidecarTls(peers, mesh.rootNamespace),
    );
    const policies = this.#policies(objects, keySets);
    this.#memo.endPass();
    return {
      objects,
      around,
      workloads,
      mesh,
      services,
      rules,
      routes,
      policies,
      sidecarTls,
      instances: this.#instances.build(workloads, objects),
    };
  }

  /** The same reference while all services are the same. */
  #directory(around: Surroundings, objects: ObjectTable): ServiceDirectory {
    const services = [...around.services.byKey].map(([key, info]) => {
      const annotations = objects.namespace(info.service.namespace)?.metadata.annotations;
      return this.#l7.get(key, [info, annotations], () => l7Service(key, info, annotations ?? {}));
    });
    this.#l7.endPass();
    const known = this.#services;
    if (known === undefined || !sameIngredients(known.all, services))
      this.#services = new ServiceDirectory(services);
    return this.#services ?? new ServiceDirectory(services);
  }

  #gatewayApi(
    objects: ObjectTable,
    services: ServiceDirectory,
    mesh: Mesh,
  ): readonly RouteSource[] {
    const kinds = [
      ...(["HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"] as const),
      ...(["Service", "ServiceEntry", "Namespace", "Gateway", "GatewayClass"] as const),
    ];
    const lists = kinds.map((kind) => objects.ofKind(kind));
    const { clusterDomain, exportTo } = mesh;
    const exports = exportTo.virtualService.length === 0 ? ["*"] : exportTo.virtualService;
    return this.#remember(
      "gateway-api",
      [...lists, services, mesh],
      () =>
        gatewayRoutes(
          {
            objects,
            clusterDomain,
            knowsHost: (hostname, namespace) => services.find(hostname, namespace) !== undefined,
          },
          exports,
        ).sources,
    );
  }

  #policies(objects: ObjectTable, keySets: KeySets): PolicyTables {
    const telemetry = objects.ofKind("Telemetry");
    const authorization = objects.ofKind("AuthorizationPolicy");
    const requestAuthentication = objects.ofKind("RequestAuthentication");
    const ingredients = [telemetry, authorization, requestAuthentication, keySets];
    return this.#remember("policies", ingredients, () => ({
      telemetry: byNamespace(telemetry),
      authorization: byNamespace(authorization),
      requestAuthentication: byNamespace(requestAuthentication),
      keySets,
    }));
  }

  #remember<T>(key: string, ingredients: readonly unknown[], make: () => T): T {
    // Each key is only ever asked for with one type.
    return this.#memo.getByReference(key, ingredients, make) as T;
  }
}

function byNamespace<K extends Kind>(
  objects: readonly ObjectOf<K>[],
): ReadonlyMap<string, readonly ObjectOf<K>[]> {
  const table = new Map<string, ObjectOf<K>[]>();
  const sorted = [...objects].sort(byAgeAndName as (a: ObjectOf<K>, b: ObjectOf<K>) => number);
  for (const object of sorted) {
    const list = table.get(object.metadata.namespace);
    if (list === undefined) table.set(object.metadata.namespace, [object]);
    else list.push(object);
  }
  return table;
}
