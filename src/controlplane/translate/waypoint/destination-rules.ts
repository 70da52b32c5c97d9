/** DestinationRules: which one a client takes for a host, how several become one, and what it says about a port. */

import type {
  DestinationRuleSpec,
  TrafficPolicySpec,
} from "../../../shared/objects/kinds/destination-rule.ts";
import type { ObjectOf } from "../../../shared/objects/kinds.ts";
import { isSubset } from "../label-index.ts";
import { byAgeAndName } from "./age.ts";
import { mostSpecificMatch, resolveHost } from "./hosts.ts";
import type { Mesh } from "./mesh.ts";
import type { WaypointNode } from "./node.ts";
import type { L7Service } from "./services.ts";

export type DestinationRule = ObjectOf<"DestinationRule">;

/** One or several rules for the same host, as one. */
export interface MergedRule {
  /** The oldest of them gives the name for tools. */
  readonly object: DestinationRule;
  readonly spec: DestinationRuleSpec;
  readonly exportTo: readonly string[];
}

interface NamespaceRules {
  /** By host; several where they must stay apart (workload selectors, different exports). */
  readonly byHost: ReadonlyMap<string, readonly MergedRule[]>;
}

export class DestinationRules {
  readonly #mesh: Mesh;
  /** What a namespace's own proxies see of its rules. */
  readonly #atHome = new Map<string, NamespaceRules>();
  /** Rules of the root namespace that are for itself only. */
  readonly #ofRootAlone: NamespaceRules;
  readonly #exported = new Map<string, NamespaceRules>();

  constructor(objects: readonly DestinationRule[], mesh: Mesh) {
    this.#mesh = mesh;
    const byNamespace = new Map<string, DestinationRule[]>();
    for (const object of [...objects].sort(bySelectorAndAge)) {
      const list = byNamespace.get(object.metadata.namespace);
      if (list === undefined) byNamespace.set(object.metadata.namespace, [object]);
      else list.push(object);
    }
    for (const [namespace, list] of byNamespace) {
      const exports = list.map((object) => ({ object, exportTo: this.#exportsOf(object) }));
      const home = exports.filter(({ exportTo }) => reaches(exportTo, namespace));
      const away = exports.filter(({ exportTo }) => !isPrivate(exportTo, namespace));
      this.#atHome.set(namespace, mergeAll(home, mesh));
      this.#exported.set(namespace, mergeAll(away, mesh));
    }
    const ofRoot = (byNamespace.get(mesh.rootNamespace) ?? [])
      .map((object) => ({ object, exportTo: this.#exportsOf(object) }))
      .filter(({ exportTo }) => isPrivate(exportTo, mesh.rootNamespace));
    this.#ofRootAlone = mergeAll(ofRoot, mesh);
  }

  /**
   * The rule that a proxy of `node`'s namespace takes for calls to `service`: its own namespace's, the service's, the
   * root's; the first namespace that has any for the host decides.
   */
  find(
    service: L7Service,
    node: WaypointNode,
    direction: "inbound" | "outbound",
  ): MergedRule | undefined {
    return choose(this.#candidates(service, node), node, direction);
  }

  #candidates(service: L7Service, node: WaypointNode): readonly MergedRule[] {
    const { rootNamespace } = this.#mesh;
    // What the root namespace has for everybody must not hide what a service's own namespace says.
    const rules =
      node.namespace === rootNamespace ? this.#ofRootAlone : this.#atHome.get(node.namespace);
    const own = mostSpecific(rules, service.hostname);
    if (own !== undefined) return own;
    for (const namespace of [service.namespace, rootNamespace]) {
      const rules = mostSpecific(this.#exported.get(namespace), service.hostname);
      const visible = rules?.filter(({ exportTo }) => reaches(exportTo, node.namespace));
      if (visible !== undefined && visible.length > 0) return visible;
    }
    return [];
  }

  #exportsOf(object: DestinationRule): readonly string[] {
    const { exportTo, workloadSelector } = object.spec;
    // A rule for chosen workloads is for those of its own namespace.
    if (workloadSelector !== undefined) return [object.metadata.namespace];
    const stated = exportTo.length > 0 ? exportTo : this.#mesh.exportTo.destinationRule;
    return stated.map((name) => (name === "." ? object.metadata.namespace : name));
  }
}

/** Rules for chosen workloads first, so that each of both sorts is merged among itself; then the oldest. */
function bySelectorAndAge(a: DestinationRule, b: DestinationRule): number {
  const selects = (rule: DestinationRule) => (rule.spec.workloadSelector === undefined ? 1 : 0);
  return selects(a) - selects(b) || byAgeAndName(a, b);
}

function isPrivate(exportTo: readonly string[], namespace: string): boolean {
  return exportTo.length === 1 && (exportTo[0] === namespace || exportTo[0] === "~");
}

function reaches(exportTo: readonly string[], namespace: string): boolean {
  return exportTo.length === 0 || exportTo.includes("*") || exportTo.includes(namespace);
}

function mostSpecific(
  rules: NamespaceRules | undefined,
  hostname: string,
): readonly MergedRule[] | undefined {
  return rules === undefined ? undefined : mostSpecificMatch(hostname, rules.byHost);
}

/** A workload selector counts for what the proxy calls, not for what it stands in front of. */
function choose(
  rules: readonly MergedRule[],
  node: WaypointNode,
  direction: "inbound" | "outbound",
): MergedRule | undefined {
  let general: MergedRule | undefined;
  for (const rule of rules) {
    const { workloadSelector } = rule.spec;
    if (workloadSelector === undefined) general = rule;
    else if (
      direction === "outbound" &&
      rule.object.metadata.namespace === node.namespace &&
      isSubset(workloadSelector.matchLabels, node.labels)
    )
      return rule;
  }
  return general;
}

interface Exporting {
  readonly object: DestinationRule;
  readonly exportTo: readonly string[];
}

function mergeAll(rules: readonly Exporting[], mesh: Mesh): NamespaceRules {
  const byHost = new Map<string, MergedRule[]>();
  for (const { object, exportTo } of rules) {
    const host = resolveHost(object.spec.host, object.metadata.namespace, mesh.clusterDomain);
    const known = byHost.get(host);
    if (known === undefined) byHost.set(host, [{ object, spec: object.spec, exportTo }]);
    else mergeInto(known, { object, exportTo });
  }
  return { byHost };
}

/** Later rules add subsets that are not there yet, and a traffic policy where there is none. */
function mergeInto(list: MergedRule[], { object, exportTo }: Exporting): void {
  let merged = false;
  list.forEach((rule, index) => {
    if (!sameNames(rule.exportTo, exportTo)) return;
    if (!sameSelector(rule.spec, object.spec)) return;
    merged = true;
    const names = new Set(rule.spec.subsets.map(({ name }) => name));
    const trafficPolicy = rule.spec.trafficPolicy ?? object.spec.trafficPolicy;
    list[index] = {
      ...rule,
      spec: {
        ...rule.spec,
        subsets: [
          ...rule.spec.subsets,
          ...object.spec.subsets.filter(({ name }) => !names.has(name)),
        ],
        ...(trafficPolicy === undefined ? {} : { trafficPolicy }),
      },
    };
  });
  if (!merged) list.push({ object, spec: object.spec, exportTo });
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name) => b.includes(name));
}

function sameSelector(a: DestinationRuleSpec, b: DestinationRuleSpec): boolean {
  const left = a.workloadSelector?.matchLabels;
  const right = b.workloadSelector?.matchLabels;
  if (left === undefined || right === undefined) return left === right;
  return isSubset(left, right) && isSubset(right, left);
}

export type PortPolicy = Omit<TrafficPolicySpec, "portLevelSettings">;

/** Settings for one port replace the general ones as a whole: what they leave out is the default. */
export function policyForPort(
  policy: TrafficPolicySpec | undefined,
  port: number,
): { readonly policy: PortPolicy | undefined; readonly isPortLevel: boolean } {
  if (policy === undefined) return { policy: undefined, isPortLevel: false };
  const own = policy.portLevelSettings.find((setting) => setting.port?.number === port);
  if (own === undefined) return { policy, isPortLevel: false };
  const { port: _port, ...settings } = own;
  return { policy: settings, isPortLevel: true };
}

/** A subset's settings over those of the whole host. */
export function policyForSubset(
  rule: DestinationRuleSpec,
  subset: string,
  port: number,
): PortPolicy | undefined {
  const general = policyForPort(rule.trafficPolicy, port).policy;
  const ofSubset = rule.subsets.find(({ name }) => name === subset)?.trafficPolicy;
  if (ofSubset === undefined) return general;
  const { policy, isPortLevel } = policyForPort(ofSubset, port);
  if (general === undefined || policy === undefined) return policy;
  const merged: Partial<Record<keyof PortPolicy, unknown>> = { ...general };
  for (const field of ["connectionPool", "outlierDetection", "loadBalancer", "tls"] as const)
    if (policy[field] !== undefined || isPortLevel) merged[field] = policy[field];
  for (const field of ["tunnel", "proxyProtocol", "retryBudget"] as const)
    if (policy[field] !== undefined) merged[field] = policy[field];
  return merged as PortPolicy;
}
