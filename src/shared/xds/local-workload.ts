/** A workload in a static configuration, with the same defaults as on the wire. */
import type { PortMap, ServiceKey, Workload } from "../model/workload.ts";
import {
  boolean,
  defaulted,
  integer,
  isRecord,
  list,
  object,
  oneOf,
  optional,
  record,
  required,
  type Schema,
  string,
} from "../objects/schema.ts";
import { gateway, ip, isServiceKey, made, portMap, uint16 } from "./local-fields.ts";

const locality = object({
  region: defaulted(string, ""),
  zone: defaulted(string, ""),
  subzone: defaulted(string, ""),
});

const applicationTunnel = object({
  protocol: required(oneOf("NONE", "PROXY")),
  port: optional(uint16),
});

type Services = ReadonlyMap<ServiceKey, PortMap>;

function servicesFrom(entries: readonly (readonly [string, PortMap])[]): Services | undefined {
  const services = new Map<ServiceKey, PortMap>();
  for (const [key, ports] of entries) {
    if (!isServiceKey(key)) return undefined;
    services.set(key, ports);
  }
  return services;
}

const whatServices = "a map from namespace/hostname to ports, or a list of namespace/hostname";
const servicesAsMap = made(record(portMap), whatServices, (map) =>
  servicesFrom(Object.entries(map)),
);
const servicesAsList = made(list(string), whatServices, (keys) =>
  servicesFrom(keys.map((key) => [key, new Map()])),
);
/** With ports as written by hand, or the bare list of a dump. */
const services: Schema<Services> = {
  decode: (value, path, problems) =>
    (isRecord(value) ? servicesAsMap : servicesAsList).decode(value, path, problems),
};

const fields = object({
  uid: required(string),
  name: defaulted(string, ""),
  namespace: defaulted(string, ""),
  workloadIps: defaulted(list(ip), []),
  hostname: defaulted(string, ""),
  network: defaulted(string, ""),
  networkMode: defaulted(oneOf("Standard", "HostNetwork"), "Standard"),
  protocol: defaulted(oneOf("TCP", "HBONE"), "TCP"),
  trustDomain: defaulted(string, "cluster.local"),
  serviceAccount: defaulted(string, "default"),
  waypoint: optional(gateway),
  networkGateway: optional(gateway),
  node: defaulted(string, ""),
  canonicalName: defaulted(string, ""),
  canonicalRevision: defaulted(string, ""),
  workloadType: defaulted(oneOf("deployment", "cronjob", "pod", "job"), "deployment"),
  workloadName: defaulted(string, ""),
  nativeTunnel: defaulted(boolean, false),
  services: defaulted(services, new Map()),
  authorizationPolicies: defaulted(list(string), []),
  status: defaulted(oneOf("Healthy", "Unhealthy"), "Healthy"),
  clusterId: defaulted(string, "Kubernetes"),
  applicationTunnel: optional(applicationTunnel),
  locality: defaulted(locality, { region: "", zone: "", subzone: "" }),
  capacity: defaulted(integer(0, 2 ** 32 - 1), 1),
});

export const localWorkload: Schema<Workload> = made(
  fields,
  "a workload",
  ({ workloadIps, ...rest }): Workload => ({ ...rest, addresses: workloadIps }),
);
