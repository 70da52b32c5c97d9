/** Workloads, services and policies in the shape that `istioctl ztunnel-config` reads (wire/ztunnel.md section 9.3). */
import type { ServiceEndpoint } from "../../shared/model/mesh-view.ts";
import type {
  Policy,
  PolicyMatch,
  ServiceAccountMatch,
  StringMatch,
} from "../../shared/model/policy.ts";
import {
  type GatewayAddress,
  type NetworkAddress,
  networkAddressKey,
  type PortMap,
  type Service,
  type Workload,
} from "../../shared/model/workload.ts";
import { type Cidr, cidrText } from "../../shared/net/cidr.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/** Keeps only what says something: no empty text, list, object or undefined. */
function compact(fields: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => {
      if (value === undefined || value === "" || value === false) return false;
      if (Array.isArray(value)) return value.length > 0;
      return typeof value !== "object" || value === null || Object.keys(value).length > 0;
    }),
  );
}

function gatewayView(gateway: GatewayAddress | undefined): JsonObject | undefined {
  if (gateway === undefined) return undefined;
  const { destination, hboneMtlsPort } = gateway;
  return {
    destination:
      destination.kind === "address"
        ? networkAddressKey(destination.address)
        : `${destination.namespace}/${destination.hostname}`,
    hboneMtlsPort,
  };
}

function portsView(ports: PortMap): JsonObject {
  return Object.fromEntries([...ports].map(([port, target]) => [String(port), target]));
}

export function workloadView(workload: Workload): JsonObject {
  const { locality } = workload;
  return {
    uid: workload.uid,
    workloadIps: workload.addresses,
    ...compact({
      waypoint: gatewayView(workload.waypoint),
      networkGateway: gatewayView(workload.networkGateway),
    }),
    protocol: workload.protocol,
    ...compact({
      networkMode: workload.networkMode === "Standard" ? undefined : workload.networkMode,
      name: workload.name,
      namespace: workload.namespace,
      trustDomain: workload.trustDomain,
      serviceAccount: workload.serviceAccount,
      hostname: workload.hostname,
      network: workload.network,
      workloadName: workload.workloadName,
      workloadType: workload.workloadType,
      canonicalName: workload.canonicalName,
      canonicalRevision: workload.canonicalRevision,
      node: workload.node,
      nativeTunnel: workload.nativeTunnel,
      applicationTunnel: workload.applicationTunnel && {
        protocol: workload.applicationTunnel.protocol,
        port: workload.applicationTunnel.port,
      },
      authorizationPolicies: workload.authorizationPolicies,
    }),
    status: workload.status,
    clusterId: workload.clusterId,
    ...compact({
      locality: compact({
        region: locality.region,
        zone: locality.zone,
        subzone: locality.subzone,
      }),
      services: [...workload.services.keys()].sort(),
      capacity: workload.capacity === 1 ? undefined : workload.capacity,
    }),
  };
}

function vipView(vip: NetworkAddress): string {
  return networkAddressKey(vip);
}

export function serviceView(service: Service, endpoints: Iterable<ServiceEndpoint>): JsonObject {
  const { loadBalancing } = service;
  return {
    name: service.name,
    namespace: service.namespace,
    hostname: service.hostname,
    vips: service.vips.map(vipView),
    ...compact({
      cidrVips: service.cidrVips.map(({ network, cidr }) => ({ network, cidr: cidrText(cidr) })),
    }),
    ports: Object.fromEntries(
      service.ports.map(({ servicePort, targetPort }) => [String(servicePort), targetPort]),
    ),
    endpoints: Object.fromEntries(
      [...endpoints].map(({ workload, ports }) => [
        workload.uid,
        { workloadUid: workload.uid, port: portsView(ports), status: workload.status },
      ]),
    ),
    ...compact({
      subjectAltNames: service.subjectAltNames,
      waypoint: gatewayView(service.waypoint),
      weightedWaypoints: service.weightedWaypoints.map(({ destination, weight }) => ({
        ...gatewayView(destination),
        weight,
      })),
      loadBalancer: loadBalancing && {
        routingPreferences: loadBalancing.routingPreferences,
        mode: loadBalancing.mode,
        healthPolicy: loadBalancing.healthPolicy,
      },
      ipFamilies: service.ipFamilies === "Automatic" ? undefined : service.ipFamilies,
      canonical: service.canonical,
    }),
    visibility: service.visibility,
  };
}

function stringMatchView(match: StringMatch): JsonObject {
  switch (match.kind) {
    case "exact":
      return { Exact: match.value };
    case "prefix":
      return { Prefix: match.value };
    case "suffix":
      return { Suffix: match.value };
    case "presence":
      return { Presence: [] };
  }
}

function accountView(match: ServiceAccountMatch): JsonObject {
  return { namespace: match.namespace, serviceAccount: match.serviceAccount };
}

function cidrs(list: readonly Cidr[]): string[] {
  return list.map(cidrText);
}

function matchView(match: PolicyMatch): JsonObject {
  return compact({
    namespaces: match.namespaces.map(stringMatchView),
    notNamespaces: match.notNamespaces.map(stringMatchView),
    serviceAccounts: match.serviceAccounts.map(accountView),
    notServiceAccounts: match.notServiceAccounts.map(accountView),
    principals: match.principals.map(stringMatchView),
    notPrincipals: match.notPrincipals.map(stringMatchView),
    sourceIps: cidrs(match.sourceIps),
    notSourceIps: cidrs(match.notSourceIps),
    destinationIps: cidrs(match.destinationIps),
    notDestinationIps: cidrs(match.notDestinationIps),
    destinationPorts: match.destinationPorts,
    notDestinationPorts: match.notDestinationPorts,
  });
}

export function policyView(policy: Policy): JsonObject {
  return {
    name: policy.name,
    namespace: policy.namespace,
    scope: policy.scope,
    action: policy.action,
    rules: policy.rules.map((rule) => rule.clauses.map((clause) => clause.matches.map(matchView))),
    ...compact({ dryRun: policy.dryRun }),
  };
}
