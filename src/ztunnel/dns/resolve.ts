/**
 * Decides what a name is to one client: pure, and the decision says what decided (wire/ztunnel.md section 7). The server
 * turns it into a response and a log line; `why` can print it.
 */

import { type Service, serviceKey } from "../../shared/model/workload.ts";
import { familyOf, type IpAddress, type IpFamily } from "../../shared/net/ip.ts";
import { type CandidateContext, candidates, storedNames } from "./candidates.ts";
import { type DnsName, foldLabels } from "./name.ts";
import type { DnsClient, DnsView } from "./view.ts";

export interface ResolveQuestion {
  /** As sent; answers keep its case. */
  readonly name: DnsName;
  /** Undefined: not a question for addresses of the Internet class. */
  readonly family: IpFamily | undefined;
}

export interface ResolveContext {
  readonly client: DnsClient | undefined;
  /** Lower case, without dots at either end. */
  readonly clusterDomain: string;
  /** Lower case, without dots at either end. */
  readonly searchDomains: readonly string[];
  readonly preferredNamespace?: string | undefined;
  readonly ipv6Enabled: boolean;
}

/** A service of a name that was tried and that did not answer. */
interface PassedOver {
  readonly namespace: string;
  readonly hostname: string;
  readonly reason: "no-virtual-address" | "not-visible" | "ranked-lower";
}

/** What was found, whether it had addresses or not. */
interface Match {
  readonly service: Service;
  /** Hostname under which the service is stored. */
  readonly matched: string;
  readonly wildcard: boolean;
  readonly passedOver: readonly PassedOver[];
}

type EmptyReason =
  /** The service has no addresses of this family, by its settings or by ours. */
  | "family-unsupported"
  /** Its virtual addresses all belong to other networks. */
  | "other-network"
  /** Headless, and no endpoint that is ready has an address of this family. */
  | "no-endpoints";

export type Resolution =
  | (Match & {
      readonly kind: "answer";
      /** The client's search domain was taken off: the question is an alias of this name. */
      readonly cname: DnsName | undefined;
      /** Whom the addresses belong to. */
      readonly owner: DnsName;
      /** In stored order, each once. */
      readonly addresses: readonly IpAddress[];
    })
  /** The name exists, so never NXDOMAIN. */
  | (Match & { readonly kind: "empty"; readonly reason: EmptyReason })
  | {
      readonly kind: "forward";
      readonly reason: "not-an-address-query" | "unknown-name";
      readonly passedOver: readonly PassedOver[];
    }
  | { readonly kind: "servfail"; readonly reason: "unknown-client" };

export function resolve(
  question: ResolveQuestion,
  context: ResolveContext,
  view: DnsView,
): Resolution {
  const { client } = context;
  if (client === undefined) return { kind: "servfail", reason: "unknown-client" };
  const { family } = question;
  if (family === undefined)
    return { kind: "forward", reason: "not-an-address-query", passedOver: [] };
  const passedOver: PassedOver[] = [];
  const match = find(question.name, client, context, view, passedOver);
  if (match === undefined) return { kind: "forward", reason: "unknown-name", passedOver };
  const { keptLabels, ...found } = match;
  const addresses = addressesOf(match.service, family, client, context, view);
  if (typeof addresses === "string") return { kind: "empty", reason: addresses, ...found };
  // A wildcard's own name is no name one could connect to, so the question stays the owner.
  const aliased = keptLabels !== undefined && !match.wildcard;
  const cname = aliased ? question.name.slice(0, keptLabels) : undefined;
  return { kind: "answer", cname, owner: cname ?? question.name, addresses, ...found };
}

/** The first candidate under which an eligible service is stored. */
function find(
  name: DnsName,
  client: DnsClient,
  context: ResolveContext,
  view: DnsView,
  passedOver: PassedOver[],
): (Match & { readonly keptLabels: number | undefined }) | undefined {
  const candidateContext: CandidateContext = {
    clientNamespace: client.namespace,
    clusterDomain: context.clusterDomain,
    searchDomains: context.searchDomains,
  };
  for (const { labels, keptLabels } of candidates(foldLabels(name), candidateContext)) {
    for (const { hostname, wildcard } of storedNames(labels)) {
      const service = choose(view.servicesByHostname(hostname), client, context, passedOver);
      if (service !== undefined)
        return { service, matched: hostname, wildcard, passedOver, keptLabels };
    }
  }
  return undefined;
}

/** Kubernetes services answer with their endpoints when they have no virtual address; other hosts do not. */
function isKubernetesService(service: Service, clusterDomain: string): boolean {
  return service.hostname.toLowerCase().endsWith(`.svc.${clusterDomain}`);
}

/** Client's namespace over canonical over preferred namespace over the order of arrival (wire/ztunnel.md section 1.9). */
function rank(service: Service, client: DnsClient, preferred: string | undefined): number {
  if (service.namespace === client.namespace) return 3;
  if (service.canonical) return 2;
  return service.namespace === preferred ? 1 : 0;
}

function choose(
  services: readonly Service[],
  client: DnsClient,
  context: ResolveContext,
  passedOver: PassedOver[],
): Service | undefined {
  let best: Service | undefined;
  let bestRank = -1;
  const pass = ({ namespace, hostname }: Service, reason: PassedOver["reason"]): void => {
    passedOver.push({ namespace, hostname, reason });
  };
  for (const service of services) {
    if (service.vips.length === 0 && !isKubernetesService(service, context.clusterDomain)) {
      pass(service, "no-virtual-address");
      continue;
    }
    if (service.visibility === "Namespace" && service.namespace !== client.namespace) {
      pass(service, "not-visible");
      continue;
    }
    const serviceRank = rank(service, client, context.preferredNamespace);
    if (serviceRank <= bestRank) {
      pass(service, "ranked-lower");
      continue;
    }
    if (best !== undefined) pass(best, "ranked-lower");
    best = service;
    bestRank = serviceRank;
  }
  return best;
}

function allowsFamily(service: Service, family: IpFamily, ipv6Enabled: boolean): boolean {
  if (family === 6 && !ipv6Enabled) return false;
  return service.ipFamilies !== (family === 4 ? "IPv6Only" : "IPv4Only");
}

function addressesOf(
  service: Service,
  family: IpFamily,
  client: DnsClient,
  context: ResolveContext,
  view: DnsView,
): readonly IpAddress[] | EmptyReason {
  if (!allowsFamily(service, family, context.ipv6Enabled)) return "family-unsupported";
  if (service.vips.length === 0) {
    const found = endpointAddresses(service, family, view);
    return found.length > 0 ? found : "no-endpoints";
  }
  const ofFamily = service.vips.filter((vip) => familyOf(vip.ip) === family);
  if (ofFamily.length === 0) return "family-unsupported";
  const reachable = ofFamily.filter((vip) => vip.network === client.network);
  return reachable.length === 0 ? "other-network" : [...new Set(reachable.map((vip) => vip.ip))];
}

/** The first address of the family of every endpoint that may take traffic. Two pods of a host network share theirs. */
function endpointAddresses(service: Service, family: IpFamily, view: DnsView): IpAddress[] {
  const found = new Set<IpAddress>();
  const unhealthyToo = service.loadBalancing?.healthPolicy === "AllowAll";
  for (const { workload } of view.allEndpoints(serviceKey(service.namespace, service.hostname))) {
    if (workload.status === "Unhealthy" && !unhealthyToo) continue;
    const ip = workload.addresses.find((address) => familyOf(address) === family);
    if (ip !== undefined) found.add(ip);
  }
  return [...found];
}
