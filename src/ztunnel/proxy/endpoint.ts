/**
 * Endpoint choice: which workload behind a service takes a connection, at which port and address (wire/ztunnel.md section
 * 4.3). Nothing is retried elsewhere later, so whatever cannot work is sorted out here.
 */
import type { MeshView, ServiceEndpoint } from "../../shared/model/mesh-view.ts";
import {
  type LocalityScope,
  type PortMap,
  type Service,
  serviceKey,
  type Workload,
} from "../../shared/model/workload.ts";
import { accepts } from "./endpoint-address.ts";
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

  /** Others that were not even looked at. */
  addUnnamed(count: number): void {
    this.total += count;
  }

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
function servicePort(service: Service, port: number): number | undefined {
  for (const declared of service.ports)
    if (declared.servicePort === port) return declared.targetPort;
  return undefined;
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

/** The endpoint as a candidate, or what is wrong with it: health, address, port. */
function judge(
  query: EndpointQuery,
  declared: boolean,
  { workload, ports }: ServiceEndpoint,
): Candidate | PassedOver["why"] {
  const { service, port, source } = query;
  if (workload.status === "Unhealthy" && service.loadBalancing?.healthPolicy !== "AllowAll")
    return "unhealthy";
  if (!reachable(service, workload, source)) return "not reachable";
  if (!declared && workload.applicationTunnel === undefined) return "no target port";
  const targetPort = targetPortOf(service, port, workload, ports);
  return targetPort === undefined ? "no target port" : { workload, port: targetPort };
}

/** Endpoints that could take the connection as far as health, port and address go. */
function eligible(
  query: EndpointQuery,
  declared: boolean,
  endpoints: readonly ServiceEndpoint[],
): Candidate[] {
  const candidates: Candidate[] = [];
  for (const endpoint of endpoints) {
    const judged = judge(query, declared, endpoint);
    if (typeof judged === "string") query.notes.add(endpoint.workload, judged);
    else candidates.push(judged);
  }
  return candidates;
}

/** From this many endpoints on, drawing first and judging then is cheaper than judging all. */
const MANY_ENDPOINTS = 64;
const MAX_DRAWS = 16;

const heaviest = new WeakMap<readonly ServiceEndpoint[], number>();

function heaviestOf(endpoints: readonly ServiceEndpoint[]): number {
  const known = heaviest.get(endpoints);
  if (known !== undefined) return known;
  const found = endpoints.reduce((most, { workload }) => Math.max(most, workload.capacity), 0);
  heaviest.set(endpoints, found);
  return found;
}

/**
 * Rejection sampling: draws endpoints evenly and keeps one with a chance of its weight against the heaviest. That is the same
 * distribution as the draw from all eligible ones, whichever attempt succeeds. Undefined when luck runs out.
 */
function sample(
  query: EndpointQuery,
  declared: boolean,
  endpoints: readonly ServiceEndpoint[],
): Candidate | undefined {
  const most = heaviestOf(endpoints);
  if (most === 0) return undefined;
  for (let draw = 0; draw < MAX_DRAWS; draw++) {
    const endpoint = endpoints[Math.floor(query.random() * endpoints.length)];
    if (endpoint === undefined) return undefined;
    const { capacity } = endpoint.workload;
    if (capacity < most && query.random() * most >= capacity) continue;
    const judged = judge(query, declared, endpoint);
    if (typeof judged === "string") continue;
    query.notes.addUnnamed(endpoints.length - 1);
    return judged;
  }
  return undefined;
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
  const { service, port, notes } = query;
  const declared = servicePort(service, port) !== undefined;
  if (!declared && query.rule === "strict") return undefined;
  const endpoints = view.allEndpoints(serviceKey(service.namespace, service.hostname));
  const even = (service.loadBalancing?.mode ?? "Standard") === "Standard";
  const chosen =
    (even && endpoints.length >= MANY_ENDPOINTS ? sample(query, declared, endpoints) : undefined) ??
    drawFrom(preferred(eligible(query, declared, endpoints), query), query.random, notes);
  return chosen && { ...chosen, service };
}

function drawFrom(
  candidates: readonly Candidate[],
  random: () => number,
  notes: PassedOverNotes,
): Candidate | undefined {
  const weights = candidates.map(({ workload }) => workload.capacity);
  const drawn = weightedDraw(weights, random);
  candidates.forEach(({ workload }, index) => {
    if (index !== drawn) notes.add(workload, workload.capacity === 0 ? "weight zero" : "not drawn");
  });
  return drawn === undefined ? undefined : candidates[drawn];
}
