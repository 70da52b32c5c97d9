/** Records of the mesh with everything filled in that a test does not care about. */

import type { Policy, PolicyMatch, PolicyRule } from "../../src/shared/model/policy.ts";
import { matchOf } from "../../src/shared/model/policy-match.ts";
import type {
  GatewayAddress,
  PortMap,
  Service,
  ServiceKey,
  Workload,
} from "../../src/shared/model/workload.ts";
import { parseCidr } from "../../src/shared/net/cidr.ts";
import { ipOf } from "../../src/shared/net/ip.ts";

type Ports = Readonly<Record<number, number>>;

function portMap(ports: Ports): PortMap {
  return new Map(Object.entries(ports).map(([port, target]) => [Number(port), target]));
}

export interface WorkloadSpec extends Partial<Omit<Workload, "addresses" | "services">> {
  readonly ips?: readonly string[];
  readonly behind?: Readonly<Record<ServiceKey, Ports>>;
}

/** A meshed pod `shop/<name>` on node1 unless told otherwise. */
export function makeWorkload(name: string, spec: WorkloadSpec = {}): Workload {
  const { ips = [], behind = {}, ...rest } = spec;
  const namespace = spec.namespace ?? "shop";
  return {
    uid: `Kubernetes//Pod/${namespace}/${name}`,
    name,
    namespace,
    hostname: "",
    network: "",
    networkMode: "Standard",
    protocol: "HBONE",
    trustDomain: "cluster.local",
    serviceAccount: name,
    node: "node1",
    canonicalName: name,
    canonicalRevision: "latest",
    workloadType: "pod",
    workloadName: name,
    nativeTunnel: false,
    authorizationPolicies: [],
    status: "Healthy",
    clusterId: "Kubernetes",
    locality: { region: "", zone: "", subzone: "" },
    capacity: 1,
    ...rest,
    addresses: ips.map(ipOf),
    services: new Map(
      Object.entries(behind).map(([key, ports]) => [key as ServiceKey, portMap(ports)]),
    ),
  };
}

export interface ServiceSpec extends Partial<Omit<Service, "vips" | "cidrVips" | "ports">> {
  /** `ip`, `network/ip` or a prefix `network/ip/length`. */
  readonly at?: readonly string[];
  readonly ports?: Ports;
}

/** A Kubernetes service `shop/<name>.shop.svc.cluster.local` unless told otherwise. */
export function makeService(name: string, spec: ServiceSpec = {}): Service {
  const { at = [], ports = {}, ...rest } = spec;
  const namespace = spec.namespace ?? "shop";
  const exact = at.filter((text) => !/\/\d+$/.test(text));
  const ranges = at.filter((text) => /\/\d+$/.test(text));
  return {
    name,
    namespace,
    hostname: `${name}.${namespace}.svc.cluster.local`,
    subjectAltNames: [],
    weightedWaypoints: [],
    ipFamilies: "Automatic",
    canonical: true,
    ingressUseWaypoint: false,
    visibility: "Public",
    ...rest,
    vips: exact.map((text) => {
      const slash = text.indexOf("/");
      return { network: text.slice(0, Math.max(0, slash)), ip: ipOf(text.slice(slash + 1)) };
    }),
    cidrVips: ranges.map((text) => {
      const slash = text.indexOf("/");
      const cidr = parseCidr(text.slice(slash + 1));
      if (cidr === undefined) throw new RangeError(text);
      return { network: text.slice(0, slash), cidr };
    }),
    ports: Object.entries(ports).map(([port, target]) => ({
      servicePort: Number(port),
      targetPort: target,
      appProtocol: "UNKNOWN",
    })),
  };
}

/** `namespace/hostname` or `@network/ip`. */
export function makeGateway(text: string, port = 15008): GatewayAddress {
  const named = !text.startsWith("@");
  const body = named ? text : text.slice(1);
  const slash = body.indexOf("/");
  const [first, second] = [body.slice(0, slash), body.slice(slash + 1)];
  return {
    destination: named
      ? { kind: "hostname", namespace: first, hostname: second }
      : { kind: "address", address: { network: first, ip: ipOf(second) } },
    hboneMtlsPort: port,
  };
}

export function makeMatch(fields: Partial<PolicyMatch> = {}): PolicyMatch {
  return matchOf(fields);
}

/** One clause a match. */
export function makeRule(...matches: readonly Partial<PolicyMatch>[]): PolicyRule {
  return { clauses: matches.map((match) => ({ matches: [makeMatch(match)] })) };
}

export function makePolicy(name: string, spec: Partial<Policy> = {}): Policy {
  return {
    name,
    namespace: "shop",
    scope: "Namespace",
    action: "Allow",
    rules: [],
    dryRun: false,
    ...spec,
  };
}
