/** Services as a waypoint's resources need them, and the ways to find one. */
import type { Labels } from "../../../shared/model/enrollment.ts";
import type { ServiceKey } from "../../../shared/model/workload.ts";
import { cidrText } from "../../../shared/net/cidr.ts";
import type { IpAddress } from "../../../shared/net/ip.ts";
import type { ObjectOf } from "../../../shared/objects/kinds.ts";
import { TRAFFIC_DISTRIBUTION } from "../names.ts";
import type { PortNames, ServiceInfo } from "../service-info.ts";
import { type Protocol, parseProtocolName, protocolOfPort } from "./protocols.ts";

export type Resolution = "Endpoints" | "Dns" | "DnsRoundRobin" | "DynamicDns" | "Passthrough";

export interface L7Port {
  readonly number: number;
  readonly name: string;
  readonly protocol: Protocol;
  /** Where the endpoint's port is another one than the service's, for services that are passed through. */
  readonly passthroughPort?: number;
}

export type Distribution = "Any" | "PreferSameZone" | "PreferSameNode";

export interface L7Service {
  readonly key: ServiceKey;
  readonly info: ServiceInfo;
  readonly hostname: string;
  readonly namespace: string;
  /** Name in metadata and metrics: the Kubernetes name, or the host of a ServiceEntry. */
  readonly name: string;
  readonly kind: "Service" | "ServiceEntry";
  /** Name of the object that it was made of. */
  readonly objectName: string;
  readonly createdAt: string;
  readonly ports: readonly L7Port[];
  readonly resolution: Resolution;
  readonly external: boolean;
  readonly exportTo: readonly string[];
  readonly labels: Labels;
  readonly distribution: Distribution;
  readonly nodeLocal: boolean;
  readonly publishUnready: boolean;
  readonly raceFirstConnect: boolean;
  readonly subjectAltNames: readonly string[];
}

export const CONNECT_STRATEGY = "istio.io/connect-strategy";

/** What the API server would have filled in for a port without a name of its own. */
export function l7Service(key: ServiceKey, info: ServiceInfo, namespace: Labels): L7Service {
  const { source, service } = info;
  const { metadata } = source;
  const common = {
    key,
    info,
    hostname: service.hostname,
    namespace: service.namespace,
    objectName: metadata.name,
    createdAt: metadata.creationTimestamp ?? "",
    labels: metadata.labels,
    raceFirstConnect: metadata.annotations[CONNECT_STRATEGY] === "RACE_FIRST_TCP_CONNECT",
  };
  if (source.kind === "ServiceEntry") return { ...common, ...ofEntry(source, info, namespace) };
  const { spec } = source;
  const headless = spec.clusterIP === "None" || spec.clusterIPs.includes("None");
  return {
    ...common,
    name: metadata.name,
    kind: "Service",
    ports: spec.ports.map((port) => ({
      number: port.port,
      name: port.name,
      protocol: protocolOfPort(port),
    })),
    resolution: headless ? "Passthrough" : "Endpoints",
    external: false,
    exportTo: exportsOf(metadata.annotations["networking.istio.io/exportTo"]),
    distribution: distributionOf(spec.trafficDistribution, metadata.annotations, namespace),
    nodeLocal: spec.internalTrafficPolicy === "Local",
    publishUnready: spec.publishNotReadyAddresses,
    subjectAltNames: [],
  };
}

const RESOLUTIONS = {
  NONE: "Passthrough",
  STATIC: "Endpoints",
  DNS: "Dns",
  DNS_ROUND_ROBIN: "DnsRoundRobin",
  DYNAMIC_DNS: "DynamicDns",
} as const;

function ofEntry(entry: ObjectOf<"ServiceEntry">, { service }: ServiceInfo, namespace: Labels) {
  const { spec, metadata } = entry;
  const resolution = RESOLUTIONS[spec.resolution];
  return {
    name: service.hostname,
    kind: "ServiceEntry",
    ports: spec.ports.map((port) => ({
      number: port.number,
      name: port.name,
      protocol: parseProtocolName(port.protocol),
      ...(resolution === "Passthrough" && port.targetPort !== undefined && port.targetPort !== 0
        ? { passthroughPort: port.targetPort }
        : {}),
    })),
    resolution,
    external: spec.location === "MESH_EXTERNAL",
    exportTo: spec.exportTo,
    distribution: distributionOf(undefined, metadata.annotations, namespace),
    nodeLocal: false,
    publishUnready: false,
    subjectAltNames: spec.subjectAltNames,
  } as const;
}

function exportsOf(annotation: string | undefined): readonly string[] {
  if (annotation === undefined) return [];
  return annotation
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** The field, the service's annotation, the namespace's; the first that says something. */
function distributionOf(
  field: string | undefined,
  annotations: Labels,
  namespace: Labels,
): Distribution {
  for (const text of [field, annotations[TRAFFIC_DISTRIBUTION], namespace[TRAFFIC_DISTRIBUTION]]) {
    if (text === undefined || text === "") continue;
    switch (text.toLowerCase()) {
      case "preferclose":
      case "prefersamezone":
        return "PreferSameZone";
      case "prefersamenode":
        return "PreferSameNode";
      default:
        return "Any";
    }
  }
  return "Any";
}

export function portOf(service: L7Service, number: number): L7Port | undefined {
  return service.ports.find((port) => port.number === number);
}

export function portNamesOf(service: L7Service, port: number): PortNames | undefined {
  return service.info.portNames.get(port);
}

/** One that no address belongs to: matched by nobody, and yet what the reference puts in the place of a missing one. */
const UNSPECIFIED = "0.0.0.0";

export interface AddressPrefix {
  readonly prefix: string;
  readonly length: number;
}

/** The addresses under which clients of this family reach the service, in the order of their text. */
export function addressesFor(
  service: L7Service,
  speaks: { readonly v4: boolean; readonly v6: boolean },
): readonly AddressPrefix[] {
  const { vips, cidrVips } = service.info.service;
  const stated = [
    ...vips.map(({ ip }) => ipPrefix(ip)),
    ...cidrVips.map(({ cidr }) => {
      const text = cidrText(cidr);
      const slash = text.lastIndexOf("/");
      return { prefix: text.slice(0, slash), length: cidr.prefixLength };
    }),
  ];
  if (stated.length === 0) return [{ prefix: UNSPECIFIED, length: 32 }];
  // Addresses that somebody wrote into a ServiceEntry are kept whatever the family of the proxy.
  const written = service.kind === "ServiceEntry" && hasStatedAddresses(service);
  const kept = written
    ? stated
    : stated.filter(({ prefix }) => (prefix.includes(":") ? speaks.v6 : speaks.v4));
  return [...kept].sort((a, b) => compare(a.prefix, b.prefix));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function hasStatedAddresses({ info }: L7Service): boolean {
  return info.source.kind === "ServiceEntry" && info.source.spec.addresses.length > 0;
}

function ipPrefix(ip: IpAddress): AddressPrefix {
  return { prefix: ip, length: ip.includes(":") ? 128 : 32 };
}

/** By age, then by name: the order in which a waypoint tries addresses. */
export function byCreation(a: L7Service, b: L7Service): number {
  return (
    compare(a.createdAt, b.createdAt) ||
    compare(a.name, b.name) ||
    compare(a.namespace, b.namespace)
  );
}

/** All services of the mesh by hostname; among several of one name, the asker's own namespace is preferred. */
export class ServiceDirectory {
  readonly all: readonly L7Service[];
  readonly #byHost = new Map<string, L7Service[]>();
  readonly #byKey = new Map<ServiceKey, L7Service>();

  constructor(services: readonly L7Service[]) {
    this.all = services;
    for (const service of services) {
      this.#byKey.set(service.key, service);
      const known = this.#byHost.get(service.hostname);
      if (known === undefined) this.#byHost.set(service.hostname, [service]);
      else known.push(service);
    }
  }

  ofKey(key: ServiceKey): L7Service | undefined {
    return this.#byKey.get(key);
  }

  /** A Kubernetes service stands for its name before a ServiceEntry of the same name does. */
  find(hostname: string, namespace: string): L7Service | undefined {
    const found = this.#byHost.get(hostname)?.filter((service) => isVisible(service, namespace));
    if (found === undefined) return undefined;
    return (
      found.find((service) => service.namespace === namespace) ??
      found.find(({ kind }) => kind === "Service") ??
      found[0]
    );
  }

  named(hostname: string): readonly L7Service[] {
    return this.#byHost.get(hostname) ?? [];
  }
}

export function isVisible(service: L7Service, namespace: string): boolean {
  return isExported(service.exportTo, service.namespace, namespace);
}

/** `exportTo` in the reading of every kind that has it: nothing or `*` everywhere, `.` at home, `~` nowhere, else by name. */
export function isExported(exportTo: readonly string[], owner: string, namespace: string): boolean {
  if (exportTo.length === 0 || exportTo.includes("*")) return true;
  if (exportTo.includes("~")) return false;
  return exportTo.some((name) => (name === "." ? owner : name) === namespace);
}
