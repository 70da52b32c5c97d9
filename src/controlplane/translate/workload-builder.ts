/**
 * Builds the workloads of a pass from all their origins. Two memories keep a pass short: while nothing around a pod changed
 * its workload is taken as it is; else its ingredients are gathered anew, and often they turn out to be the same.
 */
import type { ObjectOf } from "../../shared/objects/kinds.ts";
import type { Condition } from "./conditions.ts";
import { sameIngredients } from "./memo.ts";
import type { Surroundings } from "./service-builder.ts";
import type { MeshSettings } from "./settings.ts";
import type { PublishedWorkload } from "./workload-parts.ts";
import {
  type Plan,
  planWorkloads,
  type WorkloadInput,
  type WorkloadSource,
} from "./workload-plans.ts";
import type { WorkloadPolicies } from "./workload-policies.ts";

export interface BuiltWorkloads {
  readonly workloads: ReadonlyMap<string, PublishedWorkload>;
  readonly conditions: readonly Condition[];
}

/** Workloads and what they were made of. */
interface Part {
  readonly ingredients: readonly unknown[];
  readonly workloads: readonly PublishedWorkload[];
}

/** What one source gave, and everything around it at that time. */
interface Outcome {
  readonly around: Surroundings;
  readonly policies: WorkloadPolicies;
  readonly redirected: ReadonlySet<string> | undefined;
  readonly node: ObjectOf<"Node"> | undefined;
  readonly parts: readonly Part[];
  readonly conditions: readonly Condition[];
}

export class WorkloadBuilder {
  readonly #settings: MeshSettings;
  #outcomes: ReadonlyMap<WorkloadSource, Outcome> = new Map();

  constructor(settings: MeshSettings) {
    this.#settings = settings;
  }

  build(input: WorkloadInput): BuiltWorkloads {
    const workloads = new Map<string, PublishedWorkload>();
    const conditions: Condition[] = [];
    const outcomes = new Map<WorkloadSource, Outcome>();
    for (const source of sourcesOf(input)) {
      const outcome = this.#outcomeOf(source, input);
      outcomes.set(source, outcome);
      for (const part of outcome.parts) {
        for (const workload of part.workloads) workloads.set(workload.uid, workload);
      }
      for (const condition of outcome.conditions) conditions.push(condition);
    }
    for (const workload of input.around.networks.workloads) workloads.set(workload.uid, workload);
    this.#outcomes = outcomes;
    return { workloads, conditions };
  }

  #outcomeOf(source: WorkloadSource, input: WorkloadInput): Outcome {
    const before = this.#outcomes.get(source);
    const { around, policies } = input;
    const nodeName = source.kind === "Pod" ? source.spec.nodeName : "";
    const node = input.objects.node(nodeName);
    const redirected = input.redirected.get(nodeName);
    const unchanged =
      before?.around === around &&
      before.policies === policies &&
      before.node === node &&
      before.redirected === redirected;
    if (before !== undefined && unchanged) return before;
    const { plans, conditions } = planWorkloads(source, node, input, this.#settings);
    const parts = plans.map((plan, index) => carryOut(plan, before?.parts[index]));
    return { around, policies, redirected, node, parts, conditions };
  }
}

function carryOut({ ingredients, build }: Plan, before: Part | undefined): Part {
  if (before !== undefined && sameIngredients(before.ingredients, ingredients)) return before;
  return { ingredients, workloads: build() };
}

function* sourcesOf({ objects }: WorkloadInput): Iterable<WorkloadSource> {
  yield* objects.ofKind("Pod");
  yield* objects.ofKind("WorkloadEntry");
  yield* objects.ofKind("ServiceEntry");
  yield* objects.ofKind("EndpointSlice");
}
