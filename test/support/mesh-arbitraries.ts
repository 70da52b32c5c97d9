/** Arbitrary records of the mesh, for properties over codecs. */
import fc from "fast-check";
import type { Policy, PolicyMatch, StringMatch } from "../../src/shared/model/policy.ts";
import type {
  GatewayAddress,
  Service,
  ServiceKey,
  Workload,
} from "../../src/shared/model/workload.ts";
import { cidrOf } from "../../src/shared/net/cidr.ts";
import { type IpAddress, ipFromBytes } from "../../src/shared/net/ip.ts";

/** fast-check makes objects without a prototype. */
function plain<T>(made: T): T {
  return structuredClone(made);
}

const label = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
const maybe = fc.oneof(fc.constant(""), label);
const port = fc.integer({ min: 0, max: 65535 });
const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const ip = fc
  .oneof(bytes(4), bytes(16))
  .map((raw) => ipFromBytes(raw))
  .filter((made): made is IpAddress => made !== undefined);
const cidr = fc
  .tuple(ip, fc.integer({ min: 0, max: 128 }))
  .map(([address, length]) => cidrOf(address, address.includes(":") ? length : length % 33))
  .filter((made) => made !== undefined);
const networkAddress = fc.record({ network: maybe, ip });
const portMap = fc.array(fc.tuple(port, port), { maxLength: 3 }).map((ports) => new Map(ports));
const serviceKeys = fc.tuple(label, label).map(([a, b]): ServiceKey => `${a}/${b}.example`);

const gateway: fc.Arbitrary<GatewayAddress> = fc.record({
  destination: fc.oneof(
    fc.record({
      kind: fc.constant("hostname" as const),
      namespace: label,
      hostname: label.map((name) => `${name}.example`),
    }),
    fc.record({ kind: fc.constant("address" as const), address: networkAddress }),
  ),
  hboneMtlsPort: port,
});

const workload = fc.record(
  {
    uid: label,
    name: maybe,
    namespace: maybe,
    addresses: fc.array(ip, { maxLength: 2 }),
    hostname: maybe,
    network: maybe,
    networkMode: fc.constantFrom("Standard", "HostNetwork"),
    protocol: fc.constantFrom("TCP", "HBONE"),
    trustDomain: fc.oneof(fc.constant("cluster.local"), label),
    serviceAccount: fc.oneof(fc.constant("default"), label),
    waypoint: gateway,
    networkGateway: gateway,
    node: maybe,
    canonicalName: maybe,
    canonicalRevision: maybe,
    workloadType: fc.constantFrom("deployment", "cronjob", "pod", "job"),
    workloadName: maybe,
    nativeTunnel: fc.boolean(),
    services: fc
      .array(fc.tuple(serviceKeys, portMap), { maxLength: 2 })
      .map((entries) => new Map(entries)),
    authorizationPolicies: fc.array(label, { maxLength: 2 }),
    status: fc.constantFrom("Healthy", "Unhealthy"),
    clusterId: fc.oneof(fc.constant("Kubernetes"), label),
    applicationTunnel: fc.oneof(
      fc.record({
        protocol: fc.constantFrom("NONE" as const, "PROXY" as const),
        port: fc.integer({ min: 1, max: 65535 }),
      }),
      fc.record({ protocol: fc.constantFrom("NONE" as const, "PROXY" as const) }),
    ),
    locality: fc.record({ region: maybe, zone: maybe, subzone: maybe }),
    capacity: fc.nat({ max: 1000 }),
  },
  {
    requiredKeys: [
      "uid",
      "name",
      "namespace",
      "addresses",
      "hostname",
      "network",
      "networkMode",
      "protocol",
      "trustDomain",
      "serviceAccount",
      "node",
      "canonicalName",
      "canonicalRevision",
      "workloadType",
      "workloadName",
      "nativeTunnel",
      "services",
      "authorizationPolicies",
      "status",
      "clusterId",
      "locality",
      "capacity",
    ],
  },
) as fc.Arbitrary<Workload>;
export const anyWorkload = workload.map(plain);

const partial = cidr.filter((made) => made.prefixLength < (made.bytes.length === 4 ? 32 : 128));

const service = fc.record(
  {
    name: label,
    namespace: label,
    hostname: label,
    vips: fc.array(networkAddress, { maxLength: 2 }),
    cidrVips: fc.array(fc.record({ network: maybe, cidr: partial }), { maxLength: 2 }),
    ports: fc.uniqueArray(
      fc.record({
        servicePort: port,
        targetPort: port,
        appProtocol: fc.constant("UNKNOWN" as const),
      }),
      { maxLength: 3, selector: (entry) => entry.servicePort },
    ),
    subjectAltNames: fc.array(label, { maxLength: 2 }),
    waypoint: gateway,
    weightedWaypoints: fc.array(fc.record({ destination: gateway, weight: fc.nat(100) }), {
      maxLength: 2,
    }),
    loadBalancing: fc.record({
      routingPreferences: fc.array(
        fc.constantFrom("Region", "Zone", "Subzone", "Node", "Cluster", "Network"),
        { maxLength: 3 },
      ),
      mode: fc.constantFrom("Standard", "Strict", "Failover", "Passthrough"),
      healthPolicy: fc.constantFrom("OnlyHealthy", "AllowAll"),
    }),
    ipFamilies: fc.constantFrom("Automatic", "IPv4Only", "IPv6Only", "Dual"),
    canonical: fc.boolean(),
    ingressUseWaypoint: fc.constant(false),
    visibility: fc.constantFrom("Public", "Namespace"),
  },
  {
    requiredKeys: [
      "name",
      "namespace",
      "hostname",
      "vips",
      "cidrVips",
      "ports",
      "subjectAltNames",
      "weightedWaypoints",
      "ipFamilies",
      "canonical",
      "ingressUseWaypoint",
      "visibility",
    ],
  },
) as fc.Arbitrary<Service>;
export const anyService = service.map(plain);

const stringMatch: fc.Arbitrary<StringMatch> = fc.oneof(
  fc.record({ kind: fc.constantFrom("exact", "prefix", "suffix"), value: label }),
  fc.constant({ kind: "presence" as const }),
);
const strings = fc.array(stringMatch, { maxLength: 2 });
const accounts = fc.array(fc.record({ namespace: label, serviceAccount: label }), { maxLength: 2 });
const prefixes = fc.array(cidr, { maxLength: 2 });
const ports = fc.array(port, { maxLength: 2 });

const match: fc.Arbitrary<PolicyMatch> = fc.record({
  namespaces: strings,
  notNamespaces: strings,
  principals: strings,
  notPrincipals: strings,
  serviceAccounts: accounts,
  notServiceAccounts: accounts,
  sourceIps: prefixes,
  notSourceIps: prefixes,
  destinationIps: prefixes,
  notDestinationIps: prefixes,
  destinationPorts: ports,
  notDestinationPorts: ports,
});

const policy: fc.Arbitrary<Policy> = fc.record({
  name: label,
  namespace: label,
  scope: fc.constantFrom("Global", "Namespace", "WorkloadSelector"),
  action: fc.constantFrom("Allow", "Deny"),
  rules: fc.array(
    fc.record({
      clauses: fc.array(fc.record({ matches: fc.array(match, { maxLength: 2 }) }), {
        maxLength: 2,
      }),
    }),
    { maxLength: 2 },
  ),
  dryRun: fc.boolean(),
});
export const anyPolicy = policy.map(plain);
