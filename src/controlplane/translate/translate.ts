/**
 * Objects → what the node proxies are told. Pure in its result: the same objects, redirections and addresses always give
 * the same state, whatever was translated before. What was translated before only makes it quick: everything that did not
 * change is the same reference as in the last pass.
 */
import { type Policy, policyKey } from "../../shared/model/policy.ts";
import type { Locality, Service, ServiceKey } from "../../shared/model/workload.ts";
import type { ObjectKey, ObjectOf } from "../../shared/objects/kinds.ts";
import type { ObjectSnapshot } from "../../shared/objects/source.ts";
import { type ConvertedPolicy, convertAuthorizationPolicy } from "./authorization.ts";
import type { Condition } from "./conditions.ts";
import { Memo } from "./memo.ts";
import { REGION_LABEL, SUBZONE_LABEL, ZONE_LABEL } from "./names.ts";
import { ObjectTable } from "./objects.ts";
import { PeerAuthentications } from "./peer-authentication.ts";
import type { RedirectedPods } from "./redirection.ts";
import { ServiceBuilder } from "./service-builder.ts";
import type { AutoAddresses } from "./service-entries.ts";
import type { MeshSettings } from "./settings.ts";
import { waypointConditions } from "./waypoint-conditions.ts";
import { WorkloadBuilder } from "./workload-builder.ts";
import { noLocality, type PublishedWorkload } from "./workload-parts.ts";
import { WorkloadPolicies } from "./workload-policies.ts";

export interface TranslationInput {
  readonly objects: ObjectSnapshot["objects"];
  readonly redirected: RedirectedPods;
  readonly autoAddresses: AutoAddresses;
}

export interface MeshState {
  /** By uid. */
  readonly workloads: ReadonlyMap<string, PublishedWorkload>;
  readonly services: ReadonlyMap<ServiceKey, Service>;
  /** By `namespace/name`. */
  readonly policies: ReadonlyMap<string, Policy>;
  readonly conditions: readonly Condition[];
}

export const emptyMeshState: MeshState = {
  workloads: new Map(),
  services: new Map(),
  policies: new Map(),
  conditions: [],
};

export class Translator {
  readonly #settings: MeshSettings;
  readonly #services: ServiceBuilder;
  readonly #workloads: WorkloadBuilder;
  readonly #authorizations = new Memo<ObjectKey, ConvertedPolicy>();
  readonly #localities = new Memo<string, Locality>();
  readonly #converted = new Memo<string, Policy>();

  constructor(settings: MeshSettings) {
    this.#settings = settings;
    this.#services = new ServiceBuilder(settings);
    this.#workloads = new WorkloadBuilder(settings);
  }

  translate(input: TranslationInput): MeshState {
    const objects = new ObjectTable(input.objects);
    const around = this.#services.build(objects, input.autoAddresses);
    const peerAuthentications = new PeerAuthentications(
      objects.ofKind("PeerAuthentication"),
      this.#settings.rootNamespace,
    );
    const converted = objects
      .ofKind("AuthorizationPolicy")
      .map((object) =>
        this.#authorizations.get(
          `AuthorizationPolicy/${object.metadata.namespace}/${object.metadata.name}`,
          [object],
          () => convertAuthorizationPolicy(object, this.#settings),
        ),
      );
    const built = this.#workloads.build({
      ...around,
      objects,
      redirected: input.redirected,
      policies: new WorkloadPolicies(converted, peerAuthentications, this.#settings.rootNamespace),
      localityOf: (node) => this.#localityOf(objects, node),
    });
    const state = {
      workloads: built.workloads,
      services: new Map([...around.services.byKey].map(([key, info]) => [key, info.service])),
      policies: this.#policies(converted, peerAuthentications),
      conditions: [
        ...converted.flatMap(({ condition }) => condition ?? []),
        ...waypointConditions(objects, around, this.#settings),
        ...built.conditions,
      ],
    };
    for (const memo of [this.#authorizations, this.#localities, this.#converted]) memo.endPass();
    return state;
  }

  #policies(
    converted: readonly ConvertedPolicy[],
    peerAuthentications: PeerAuthentications,
  ): ReadonlyMap<string, Policy> {
    const policies = new Map<string, Policy>();
    for (const { policy } of converted) {
      if (policy !== undefined) policies.set(policyKey(policy), policy);
    }
    for (const policy of peerAuthentications.policies()) {
      const key = policyKey(policy);
      policies.set(
        key,
        this.#converted.get(key, [JSON.stringify(policy)], () => policy),
      );
    }
    return policies;
  }

  #localityOf(objects: ObjectTable, name: string): Locality {
    const node = name === "" ? undefined : objects.find("Node", "", name);
    return node === undefined
      ? noLocality
      : this.#localities.get(name, [node], () => localityOf(node));
  }
}

function localityOf(node: ObjectOf<"Node">): Locality {
  const { labels } = node.metadata;
  return {
    region: labels[REGION_LABEL] ?? "",
    zone: labels[ZONE_LABEL] ?? "",
    subzone: labels[SUBZONE_LABEL] ?? "",
  };
}
