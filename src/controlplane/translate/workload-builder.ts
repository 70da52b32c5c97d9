/**
 * Builds the workloads of a pass from all their origins. Two memories keep a pass short: while nothing that a namespace sees
 * changed, its workloads are taken as they are; else the ingredients of each are gathered anew, and often they turn out to
 * be the same.
 */
import type { Condition } from "./conditions.ts";
import { sameIngredients } from "./memo.ts";
import { file } from "./scopes.ts";
import type { MeshSettings } from "./settings.ts";
import type { PublishedWorkload } from "./workload-parts.ts";
import {
  type Plan,
  planWorkloads,
  type WorkloadInput,
  type WorkloadSource,
} from "./workload-plans.ts";

export interface BuiltWorkloads {
  readonly workloads: ReadonlyMap<string, PublishedWorkload>;
  readonly conditions: readonly Condition[];
}

/** Workloads and what they were made of. */
interface Part {
  readonly ingredients: readonly unknown[];
  readonly workloads: readonly PublishedWorkload[];
}

/** What one source gave. */
interface Outcome {
  readonly parts: readonly Part[];
  readonly conditions: readonly Condition[];
}

/** What a namespace gave, and everything it saw at that time. */
interface NamespaceOutcome {
  readonly seen: readonly unknown[];
  readonly sources: readonly WorkloadSource[];
  readonly outcomes: ReadonlyMap<WorkloadSource, Outcome>;
  readonly workloads: readonly PublishedWorkload[];
  readonly conditions: readonly Condition[];
}

export class WorkloadBuilder {
  readonly #settings: MeshSettings;
  #namespaces: ReadonlyMap<string, NamespaceOutcome> = new Map();

  constructor(settings: MeshSettings) {
    this.#settings = settings;
  }

  build(input: WorkloadInput): BuiltWorkloads {
    const workloads = new Map<string, PublishedWorkload>();
    const conditions: Condition[] = [];
    const namespaces = new Map<string, NamespaceOutcome>();
    for (const [namespace, sources] of sourcesByNamespace(input)) {
      const outcome = this.#outcomeOf(namespace, sources, input);
      namespaces.set(namespace, outcome);
      for (const workload of outcome.workloads) workloads.set(workload.uid, workload);
      for (const condition of outcome.conditions) conditions.push(condition);
    }
    for (const workload of input.around.networks.workloads) workloads.set(workload.uid, workload);
    this.#namespaces = namespaces;
    return { workloads, conditions };
  }

  #outcomeOf(
    namespace: string,
    sources: readonly WorkloadSource[],
    input: WorkloadInput,
  ): NamespaceOutcome {
    const before = this.#namespaces.get(namespace);
    const seen = seenBy(namespace, input);
    if (
      before !== undefined &&
      sameIngredients([...before.seen, before.sources], [...seen, sources])
    )
      return before;
    const outcomes = new Map<WorkloadSource, Outcome>();
    const workloads: PublishedWorkload[] = [];
    const conditions: Condition[] = [];
    for (const source of sources) {
      const outcome = this.#make(source, input, before?.outcomes.get(source));
      outcomes.set(source, outcome);
      for (const part of outcome.parts) workloads.push(...part.workloads);
      conditions.push(...outcome.conditions);
    }
    return { seen, sources, outcomes, workloads, conditions };
  }

  #make(source: WorkloadSource, input: WorkloadInput, before: Outcome | undefined): Outcome {
    const node = source.kind === "Pod" ? input.objects.node(source.spec.nodeName) : undefined;
    const { plans, conditions } = planWorkloads(source, node, input, this.#settings);
    return {
      parts: plans.map((plan, index) => carryOut(plan, before?.parts[index])),
      conditions,
    };
  }
}

/** All that the workloads of a namespace are made of besides their own objects. */
function seenBy(namespace: string, input: WorkloadInput): readonly unknown[] {
  const { around, objects, policies, redirected } = input;
  return [
    around.networks,
    around.waypoints,
    around.services.scopeOf(namespace),
    ...policies.scopesOf(namespace),
    objects.namespace(namespace),
    objects.ofKind("Node"),
    redirected,
  ];
}

function carryOut({ ingredients, build }: Plan, before: Part | undefined): Part {
  if (before !== undefined && sameIngredients(before.ingredients, ingredients)) return before;
  return { ingredients, workloads: build() };
}

function sourcesByNamespace({
  objects,
}: WorkloadInput): ReadonlyMap<string, readonly WorkloadSource[]> {
  const sources = new Map<string, WorkloadSource[]>();
  for (const kind of ["Pod", "WorkloadEntry", "ServiceEntry", "EndpointSlice"] as const)
    for (const source of objects.ofKind(kind)) file(sources, source.metadata.namespace, source);
  return sources;
}
