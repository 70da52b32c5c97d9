/** Which endpoints come first: by distribution, by failover, or by labels in common with the proxy. */
import type { Labels } from "../../../shared/model/enrollment.ts";
import type { Locality } from "../../../shared/model/workload.ts";
import type {
  LoadBalancerSpec,
  LocalityLbSpec,
} from "../../../shared/objects/kinds/destination-rule.ts";
import { NETWORK_LABEL, REGION_LABEL, SUBZONE_LABEL, ZONE_LABEL } from "../names.ts";
import {
  type EndpointGroup,
  type LocalityEndpoints,
  type PlacedEndpoint,
  plainGroup,
} from "./endpoint-groups.ts";
import type { Instance } from "./instances.ts";
import type { Mesh } from "./mesh.ts";
import type { WaypointNode } from "./node.ts";
import type { L7Service } from "./services.ts";

export interface LocalitySetting {
  readonly spec: LocalityLbSpec;
  /** Without waiting for ejection to be configured: health says when to go further away. */
  readonly force: boolean;
}

const HOSTNAME_LABEL = "kubernetes.io/hostname";
const SAME_ZONE = [NETWORK_LABEL, REGION_LABEL, ZONE_LABEL];
const SAME_NODE = [...SAME_ZONE, SUBZONE_LABEL, HOSTNAME_LABEL];

/** The rule's, else the service's own wish, else the mesh's. Undefined when it is switched off. */
export function localitySetting(
  mesh: Mesh,
  loadBalancer: LoadBalancerSpec | undefined,
  service: L7Service,
): LocalitySetting | undefined {
  // Envoy's zone-aware mode needs to know the proxy's own cluster, which a waypoint has none of.
  if (loadBalancer?.zoneAwareLbSetting !== undefined) return undefined;
  const own = loadBalancer?.localityLbSetting;
  if (own !== undefined) return enabled(own);
  if (service.distribution !== "Any") {
    const failoverPriority = service.distribution === "PreferSameZone" ? SAME_ZONE : SAME_NODE;
    const spec = { enabled: true, distribute: [], failover: [], failoverPriority };
    return { spec, force: true };
  }
  return enabled(mesh.localityLb);
}

function enabled(spec: LocalityLbSpec): LocalitySetting | undefined {
  return spec.enabled === false ? undefined : { spec, force: false };
}

/** Whether weights of localities count: only where somebody set some, or a way to fail over. */
export function weighsLocalities(setting: LocalitySetting | undefined, ejects: boolean): boolean {
  if (setting === undefined) return false;
  const { distribute, failover, failoverPriority } = setting.spec;
  if (distribute.length > 0) return true;
  return (setting.force || ejects) && (failover.length > 0 || failoverPriority.length > 0);
}

export function arrange(
  groups: readonly EndpointGroup[],
  setting: LocalitySetting | undefined,
  ejects: boolean,
  node: WaypointNode,
): readonly LocalityEndpoints[] {
  if (setting === undefined) return groups.map(plainGroup);
  const { spec, force } = setting;
  if (spec.distribute.length > 0) return distribute(groups, spec, node);
  if (!ejects && !force) return groups.map(plainGroup);
  if (spec.failoverPriority.length === 0)
    return failOver(
      groups.map((group) => ({ group, priority: 0 })),
      spec,
      node,
    );
  const prioritized = byLabels(groups, spec.failoverPriority, node);
  return spec.failover.length > 0
    ? failOver(prioritized, spec, node)
    : prioritized.map(withPriority);
}

interface Prioritized {
  readonly group: EndpointGroup;
  readonly priority: number;
}

function withPriority({ group, priority }: Prioritized): LocalityEndpoints {
  const made = plainGroup(group);
  return priority === 0 ? made : { ...made, priority };
}

/** Envoy wants priorities without gaps. */
function compacted(list: readonly Prioritized[]): readonly Prioritized[] {
  const used = [...new Set(list.map(({ priority }) => priority))].sort((a, b) => a - b);
  return list.map(({ group, priority }) => ({ group, priority: used.indexOf(priority) }));
}

/** 0 in the same subzone, 1 in the zone, 2 in the region, 3 elsewhere. */
function distance(a: Locality, b: Locality): number {
  if (a.region !== b.region) return 3;
  if (a.zone !== b.zone) return 2;
  return a.subzone === b.subzone ? 0 : 1;
}

function failOver(
  groups: readonly Prioritized[],
  spec: LocalityLbSpec,
  node: WaypointNode,
): readonly LocalityEndpoints[] {
  const { locality } = node;
  const next = spec.failover.find(({ from }) => from === locality.region);
  const placed = groups.map(({ group, priority }) => {
    const far = distance(locality, group.locality);
    const last = far === 3 && next !== undefined && group.locality.region !== next.to;
    return { group, priority: priority * 5 + (last ? 4 : far) };
  });
  return compacted(placed).map(withPriority);
}

/** A network in common counts more than all that follows. */
function byLabels(
  groups: readonly EndpointGroup[],
  priorities: readonly string[],
  node: WaypointNode,
): readonly Prioritized[] {
  const wanted = priorities.map((text) => {
    const [label = "", value] = text.split("=");
    return { label, value: value ?? nodeLabel(node, label) };
  });
  const placed = groups.flatMap(({ locality, members }) => {
    const byPriority = new Map<number, PlacedEndpoint[]>();
    for (const member of members) {
      const priority = labelPriority(member, wanted, priorities[0] === NETWORK_LABEL);
      const known = byPriority.get(priority);
      if (known === undefined) byPriority.set(priority, [member]);
      else known.push(member);
    }
    return [...byPriority]
      .sort(([a], [b]) => a - b)
      .map(([priority, list]) => ({ group: { locality, members: list }, priority }));
  });
  return compacted(placed);
}

function labelPriority(
  { instance }: PlacedEndpoint,
  wanted: readonly { readonly label: string; readonly value: string }[],
  networkFirst: boolean,
): number {
  let adjust = 0;
  for (const [index, { label, value }] of wanted.entries()) {
    if (value === instanceLabel(instance, label)) continue;
    if (index > 0 || !networkFirst) return wanted.length - index + adjust;
    adjust = wanted.length;
  }
  return adjust;
}

/** Topology is not written on pods; it follows from where they are. */
function topology(
  label: string,
  place: { readonly locality: Locality; readonly network: string; readonly nodeName: string },
): string | undefined {
  switch (label) {
    case REGION_LABEL:
      return place.locality.region;
    case ZONE_LABEL:
      return place.locality.zone;
    case SUBZONE_LABEL:
      return place.locality.subzone;
    case NETWORK_LABEL:
      return place.network;
    case HOSTNAME_LABEL:
      return place.nodeName;
    default:
      return undefined;
  }
}

function nodeLabel(node: WaypointNode, label: string): string {
  return topology(label, node) ?? node.labels[label] ?? "";
}

const CLUSTER_LABEL = "topology.istio.io/cluster";

function instanceLabel({ workload, labels }: Instance, label: string): string {
  if (label === CLUSTER_LABEL) return workload.clusterId;
  const { locality, network, node } = workload;
  return topology(label, { locality, network, nodeName: node }) ?? labels[label] ?? "";
}

/** Subsets may also select by where an endpoint is. */
export function carriesLabels(instance: Instance, wanted: Labels): boolean {
  return Object.entries(wanted).every(([key, value]) =>
    Object.hasOwn(instance.labels, key)
      ? instance.labels[key] === value
      : value !== "" && instanceLabel(instance, key) === value,
  );
}

/** Shares of traffic to localities, for callers in one of the stated places; what is not named gets nothing. */
function distribute(
  groups: readonly EndpointGroup[],
  spec: LocalityLbSpec,
  node: WaypointNode,
): readonly LocalityEndpoints[] {
  const rule = spec.distribute.find(({ from }) => localityMatches(node.locality, from));
  if (rule === undefined) return groups.map(plainGroup);
  const unnamed = new Set(groups);
  const weights = new Map<EndpointGroup, number>();
  // More exact places first, so that a wildcard takes only what is left.
  const targets = Object.entries(rule.to).sort(([a], [b]) => specificity(b) - specificity(a));
  for (const [place, share] of targets) {
    const matching = [...unnamed].filter(({ locality }) => localityMatches(locality, place));
    const total = matching.reduce(
      (sum, group) => sum + (plainGroup(group).loadBalancingWeight ?? 0),
      0,
    );
    for (const group of matching) {
      unnamed.delete(group);
      const weight = ((plainGroup(group).loadBalancingWeight ?? 0) * share) / total;
      if (weight > 0) weights.set(group, Math.ceil(weight));
    }
  }
  return groups.map((group) => {
    const made = plainGroup(group);
    if (unnamed.has(group)) return { ...made, lbEndpoints: [] };
    const weight = weights.get(group);
    return weight === undefined ? made : { ...made, loadBalancingWeight: weight };
  });
}

function specificity(place: string): number {
  return place.split("/").filter((part) => part !== "*" && part !== "").length;
}

/** `region/zone/subzone`; `*` or nothing from some part on. */
function localityMatches({ region, zone, subzone }: Locality, rule: string): boolean {
  if (rule === "" || rule === "*") return true;
  const parts = [region, zone, subzone];
  for (const [index, wanted] of rule.split("/").entries()) {
    if (wanted === "*") return true;
    if (wanted !== parts[index]) return false;
  }
  return true;
}
