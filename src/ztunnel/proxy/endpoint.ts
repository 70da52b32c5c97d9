/**
 * Endpoint choice: which workload behind a service takes a connection, at which port and address (wire/ztunnel.md section
 * 4.3). Nothing is retried elsewhere later, so whatever cannot work is sorted out here.
 */
import type { MeshView } from "../../shared/model/mesh-view.ts";
import {
  type LocalityScope,
  type PortMap,
  type Service,
  serviceKey,
  type Workload,
} from "../../shared/model/workload.ts";
import { familyOf, type IpAddress, type IpFamily } from "../../shared/net/ip.ts";
import type { PassedOver } from "./route-types.ts";

/** How strict the port rule is: waypoints with an application tunnel need not declare their port. */
export type PortRule = "strict" | "waypoint";

/** A next hop with its port, before its address is settled. */
export interface Upstream {
  readonly workload: Workload;
  readonly port: number;
  /** The service through which it was chosen. */
  readonly service: Service | undefined;
}

/** Entries that a decision keeps about endpoints it did not take. */
const MAX_PASSED_OVER = 8;

/** Takes notes about endpoints that were not taken; bounded, so that a large service costs nothing to remember. */
export class PassedOverNotes {
  readonly entries: PassedOver[] = [];
  total = 0;

  add(workload: Workload, why: PassedOver["why"]): void {
    this.total++;
    if (this.entries.length < MAX_PASSED_OVER)
      this.entries.push({ workloadUid: workload.uid, why });
  }
}

export interface EndpointQuery {
  readonly service: Service;
  readonly port: number;
  readonly rule: PortRule;
  /** Our own workload, for locality and network. */
  readonly source: Workload;
  readonly random: () => number;
  readonly notes: PassedOverNotes;
}

/** Endpoint mapping, then the service's own, then the port itself when the application is tunneled to. */
export function targetPortOf(
  service: Service,
  port: number,
  workload: Workload,
  endpointPorts: PortMap | undefined,
): number | undefined {
  const mapped = endpointPorts?.get(port);
  if (mapped !== undefined) return mapped;
  const declared = servicePort(service, port);
  if (declared !== undefined && declared > 0) return declared;
  return workload.applicationTunnel?.port === undefined ? undefined : port;
}

/** The service's target port; 0 stands for a named port, undefined for one it does not have. */
export function servicePort(service: Service, port: number): number | undefined {
  for (const declared of service.ports)
    if (declared.servicePort === port) return declared.targetPort;
  return undefined;
}

function accepts(service: Service, ip: IpAddress): boolean {
  switch (service.ipFamilies) {
    case "IPv4Only":
      return familyOf(ip) === 4;
    case "IPv6Only":
      return familyOf(ip) === 6;
    case "Automatic":
    case "Dual":
      return true;
  }
}

/** Without an address of its own, a workload can only be reached through the gateway of another network. */
function reachable(service: Service, workload: Workload, source: Workload): boolean {
  if (workload.hostname !== "") return true;
  if (workload.addresses.some((ip) => accepts(service, ip))) return true;
  return workload.network !== source.network && workload.networkGateway !== undefined;
}

function scopeMatches(scope: LocalityScope, source: Workload, workload: Workload): boolean {
  switch (scope) {
    case "Region":
      return source.locality.region === workload.locality.region;
    case "Zone":
      return source.locality.zone === workload.locality.zone;
    case "Subzone":
      return source.locality.subzone === workload.locality.subzone;
    case "Node":
      return source.node === workload.node;
    case "Cluster":
      return source.clusterId === workload.clusterId;
    case "Network":
      return source.network === workload.network;
  }
}

/**
 * How many preferences match in a row. A leading NETWORK preference is an axis of its own: on another network the rest is
 * still compared, but any endpoint of our own network ranks above all of those.
 */
function localityRank(
  preferences: readonly LocalityScope[],
  source: Workload,
  workload: Workload,
): number {
  const networkFirst = preferences[0] === "Network";
  let rank = networkFirst && source.network === workload.network ? preferences.length : 0;
  for (let i = networkFirst ? 1 : 0; i < preferences.length; i++) {
    const scope = preferences[i];
    if (scope === undefined || !scopeMatches(scope, source, workload)) break;
    rank++;
  }
  return rank;
}

interface Candidate {
  readonly workload: Workload;
  readonly port: number;
}

/** Endpoints that could take the connection as far as health, port and address go. */
function eligible(view: MeshView, query: EndpointQuery): Candidate[] {
  const { service, port, source, notes } = query;
  const declared = servicePort(service, port) !== undefined;
  if (!declared && query.rule === "strict") return [];
  const anyHealth = service.loadBalancing?.healthPolicy === "AllowAll";
  const candidates: Candidate[] = [];
  for (const endpoint of view.allEndpoints(serviceKey(service.namespace, service.hostname))) {
    const { workload } = endpoint;
    const targetPort =
      !declared && workload.applicationTunnel === undefined
        ? undefined
        : targetPortOf(service, port, workload, endpoint.ports);
    if (!anyHealth && workload.status === "Unhealthy") notes.add(workload, "unhealthy");
    else if (!reachable(service, workload, source)) notes.add(workload, "not reachable");
    else if (targetPort === undefined) notes.add(workload, "no target port");
    else candidates.push({ workload, port: targetPort });
  }
  return candidates;
}

/** Applies STRICT and FAILOVER preferences. */
function preferred(candidates: readonly Candidate[], query: EndpointQuery): readonly Candidate[] {
  const balancing = query.service.loadBalancing;
  if (balancing === undefined || balancing.mode === "Standard") return candidates;
  const preferences = balancing.routingPreferences;
  const ranks = candidates.map(({ workload }) => localityRank(preferences, query.source, workload));
  const best = ranks.reduce((high, rank) => Math.max(high, rank), 0);
  const taken: Candidate[] = [];
  candidates.forEach((candidate, index) => {
    const fits =
      balancing.mode === "Strict"
        ? preferences.every((scope) => scopeMatches(scope, query.source, candidate.workload))
        : ranks[index] === best;
    if (fits) taken.push(candidate);
    else query.notes.add(candidate.workload, "locality");
  });
  return taken;
}

/** The index of a random draw with these weights; undefined when they are all 0. */
export function weightedDraw(weights: readonly number[], random: () => number): number | undefined {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (total <= 0) return undefined;
  let left = random() * total;
  for (let i = 0; i < weights.length; i++) {
    left -= weights[i] ?? 0;
    if (left < 0) return i;
  }
  return weights.findLastIndex((weight) => weight > 0);
}

/** Undefined when no endpoint can take the connection. PASSTHROUGH is not asked here. */
export function chooseEndpoint(view: MeshView, query: EndpointQuery): Upstream | undefined {
  const candidates = preferred(eligible(view, query), query);
  const drawn = weightedDraw(
    candidates.map(({ workload }) => workload.capacity),
    query.random,
  );
  candidates.forEach(({ workload }, index) => {
    if (index === drawn) return;
    query.notes.add(workload, workload.capacity === 0 ? "weight zero" : "not drawn");
  });
  const chosen = drawn === undefined ? undefined : candidates[drawn];
  return chosen && { ...chosen, service: query.service };
}

/** Where an upstream is reached. */
export type AddressChoice =
  | { readonly kind: "ip"; readonly ip: IpAddress }
  | { readonly kind: "hostname"; readonly hostname: string }
  /** Only through a network gateway, or not at all. */
  | { readonly kind: "none" };

/** The original address if it is the workload's own, else the first that the service's families allow, else its name. */
export function chooseAddress(upstream: Upstream, original: IpAddress): AddressChoice {
  const { workload, service } = upstream;
  if (workload.addresses.includes(original)) return { kind: "ip", ip: original };
  const allowed = workload.addresses.filter((ip) => service === undefined || accepts(service, ip));
  const ip = ofFamily(allowed, familyOf(original)) ?? allowed[0];
  if (ip !== undefined) return { kind: "ip", ip };
  return workload.hostname === ""
    ? { kind: "none" }
    : { kind: "hostname", hostname: workload.hostname };
}

function ofFamily(ips: readonly IpAddress[], family: IpFamily): IpAddress | undefined {
  return ips.find((ip) => familyOf(ip) === family);
}

/** A random one of the resolved addresses, of the preferred family if there is one. */
export function pickResolved(
  addresses: readonly IpAddress[],
  family: IpFamily,
  random: () => number,
): IpAddress | undefined {
  const same = addresses.filter((ip) => familyOf(ip) === family);
  const pool = same.length > 0 ? same : addresses;
  return pool[Math.floor(random() * pool.length)];
}
