/** ServiceEntries as services: one for each of their hosts. */
import type { NetworkAddress, Service, ServicePort } from "../../shared/model/workload.ts";
import { type Cidr, parseCidr } from "../../shared/net/cidr.ts";
import { familyOf, ipFromBytes, parseIp } from "../../shared/net/ip.ts";
import type { ObjectOf } from "../../shared/objects/kinds.ts";
import { passthrough, trafficDistribution } from "./load-balancing.ts";
import { AUTO_ALLOCATE_IP } from "./names.ts";
import type { PublishedService, ServiceInfo } from "./service-info.ts";
import { parseProtocol } from "./service-ports.ts";
import { type NamespaceFacts, usesWaypointFromIngress } from "./services.ts";
import type { EntryVisibility } from "./visibility.ts";
import { attachWeighted, type WeightedBinding } from "./weighted-waypoints.ts";

/** Addresses that were given to hosts without one, by `namespace/name/host`. */
export type AutoAddresses = ReadonlyMap<string, readonly string[]>;

export function autoAddressKey(entry: ObjectOf<"ServiceEntry">, host: string): string {
  return `${entry.metadata.namespace}/${entry.metadata.name}/${host}`;
}

/** The hosts of an entry that need an address of their own: what is resolved to none passes through by its real address. */
export function hostsToAddress(entry: ObjectOf<"ServiceEntry">): readonly string[] {
  const { spec, metadata } = entry;
  if (spec.resolution === "NONE" || spec.addresses.length > 0) return [];
  if (metadata.labels[AUTO_ALLOCATE_IP]?.toLowerCase() === "false") return [];
  return spec.hosts.filter((host) => !host.startsWith("*") || spec.resolution === "DYNAMIC_DNS");
}

export function buildServiceEntry(
  entry: ObjectOf<"ServiceEntry">,
  weighted: WeightedBinding,
  namespace: NamespaceFacts,
  network: string,
  auto: AutoAddresses,
  visibility: EntryVisibility,
): readonly ServiceInfo[] {
  const { metadata, spec } = entry;
  if (visibility === "None") return [];
  const stated = statedAddresses(spec.addresses, network);
  if (stated === undefined) return [];
  const loadBalancing =
    spec.resolution === "NONE"
      ? passthrough
      : trafficDistribution(undefined, metadata.annotations, namespace.annotations);
  const common = {
    name: metadata.name,
    namespace: metadata.namespace,
    ports: spec.ports.map(portOf),
    subjectAltNames: spec.subjectAltNames,
    ...attachWeighted(weighted),
    ...(loadBalancing === undefined ? {} : { loadBalancing }),
    ipFamilies: "Automatic",
    canonical: false,
    ingressUseWaypoint: usesWaypointFromIngress(
      weighted.binding,
      metadata.labels,
      namespace.labels,
    ),
    visibility,
  } as const satisfies Partial<Service>;
  const portNames = new Map(
    spec.ports.map((port) => [port.number, { port: port.name, target: "" }]),
  );
  const addressable = new Set(hostsToAddress(entry));
  return spec.hosts.map((hostname) => ({
    source: entry,
    service: {
      ...common,
      hostname,
      ...(addressable.has(hostname)
        ? { vips: autoVips(entry, hostname, network, auto), cidrVips: [] }
        : stated),
    },
    portNames,
    selector: spec.workloadSelector?.labels ?? {},
    binding: weighted.binding,
  }));
}

type Port = ObjectOf<"ServiceEntry">["spec"]["ports"][number];

function portOf(port: Port): ServicePort {
  return {
    servicePort: port.number,
    targetPort:
      port.targetPort === undefined || port.targetPort === 0 ? port.number : port.targetPort,
    appProtocol: parseProtocol(port.protocol),
  };
}

/** A controller writes the addresses into the status; without one they are ours to give. */
function autoVips(
  entry: ObjectOf<"ServiceEntry">,
  host: string,
  network: string,
  auto: AutoAddresses,
): readonly NetworkAddress[] {
  const written = (entry.status?.addresses ?? [])
    .filter((address) => address.host === host)
    .map(({ value }) => value ?? "");
  const texts = written.length > 0 ? written : (auto.get(autoAddressKey(entry, host)) ?? []);
  return texts.flatMap((text) => {
    const ip = parseIp(text);
    return ip === undefined ? [] : [{ network, ip }];
  });
}

type StatedAddresses = Required<Pick<PublishedService, "vips" | "cidrVips" | "addresses">>;

/** Undefined when one of them cannot be read: the entry then has no services at all. */
function statedAddresses(texts: readonly string[], network: string): StatedAddresses | undefined {
  const vips: NetworkAddress[] = [];
  const cidrVips: { network: string; cidr: Cidr }[] = [];
  const addresses: StatedAddresses["addresses"][number][] = [];
  for (const text of texts) {
    const cidr = parseCidr(text);
    if (cidr === undefined) return undefined;
    if (cidr.prefixLength === (familyOf(cidr.ip) === 4 ? 32 : 128)) {
      const vip = { network, ip: cidr.ip };
      vips.push(vip);
      addresses.push(vip);
    } else {
      const range = { network, cidr: masked(cidr) };
      cidrVips.push(range);
      addresses.push(range);
    }
  }
  return { vips, cidrVips, addresses };
}

/** The network address of the prefix: `10.0.0.5/24` is written `10.0.0.0/24`. */
function masked(cidr: Cidr): Cidr {
  const bytes = Uint8Array.from(cidr.bytes, (byte, index) => {
    const bits = Math.min(8, Math.max(0, cidr.prefixLength - index * 8));
    return byte & ((0xff00 >> bits) & 0xff);
  });
  const ip = ipFromBytes(bytes) ?? cidr.ip;
  return { ip, prefixLength: cidr.prefixLength, bytes };
}
