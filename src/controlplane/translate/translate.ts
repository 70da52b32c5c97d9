/**
 * Objects → what the node proxies are told. Pure in its result: the same objects, redirections and addresses always give
 * the same state, whatever was translated before. What was translated before only makes it quick: everything that did not
 * change is the same reference as in the last pass.
 */
import type { Policy } from "../../shared/model/policy.ts";
import type { ServiceKey } from "../../shared/model/workload.ts";
import type { ObjectSnapshot } from "../../shared/objects/source.ts";
import type { Condition } from "./conditions.ts";
import { ObjectTable } from "./objects.ts";
import { PolicyBuilder } from "./policy-builder.ts";
import type { RedirectedPods } from "./redirection.ts";
import { RouteConditions } from "./route-conditions.ts";
import { ServiceBuilder, type Surroundings } from "./service-builder.ts";
import type { AutoAddresses } from "./service-entries.ts";
import type { PublishedService } from "./service-info.ts";
import type { MeshSettings } from "./settings.ts";
import { waypointConditions } from "./waypoint-conditions.ts";
import { WorkloadBuilder } from "./workload-builder.ts";
import type { PublishedWorkload } from "./workload-parts.ts";

export interface TranslationInput {
  readonly objects: ObjectSnapshot["objects"];
  readonly redirected: RedirectedPods;
  readonly autoAddresses: AutoAddresses;
}

export interface TranslatedParts {
  readonly objects: ObjectTable;
  readonly around: Surroundings;
  readonly workloads: ReadonlyMap<string, PublishedWorkload>;
}

export interface MeshState {
  /** By uid. */
  readonly workloads: ReadonlyMap<string, PublishedWorkload>;
  readonly services: ReadonlyMap<ServiceKey, PublishedService>;
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
  readonly #policies: PolicyBuilder;
  readonly #routes: RouteConditions;
  #objects: ObjectTable | undefined;
  #parts: TranslatedParts | undefined;

  constructor(settings: MeshSettings) {
    this.#settings = settings;
    this.#services = new ServiceBuilder(settings);
    this.#workloads = new WorkloadBuilder(settings);
    this.#policies = new PolicyBuilder(settings);
    this.#routes = new RouteConditions(settings);
  }

  translate(input: TranslationInput): MeshState {
    const objects = new ObjectTable(input.objects, this.#settings.revision, this.#objects);
    this.#objects = objects;
    const around = this.#services.build(objects, input.autoAddresses);
    const policies = this.#policies.build(objects);
    const built = this.#workloads.build({
      around,
      objects,
      redirected: input.redirected,
      policies: policies.byWorkload,
    });
    this.#parts = { objects, around, workloads: built.workloads };
    return {
      workloads: built.workloads,
      services: around.published,
      policies: policies.policies,
      conditions: [
        ...policies.conditions,
        ...waypointConditions(objects, around, this.#settings),
        ...this.#routes.build(objects, around),
        ...built.conditions,
      ],
    };
  }

  /** What the last pass was made of and what it made, for those who translate further. */
  get last(): TranslatedParts | undefined {
    return this.#parts;
  }
}
