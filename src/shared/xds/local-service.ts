/** A service in a static configuration. */
import type { PortMap, Service } from "../model/workload.ts";
import {
  boolean,
  defaulted,
  integer,
  list,
  object,
  oneOf,
  optional,
  record,
  required,
  type Schema,
  string,
} from "../objects/schema.ts";
import { cidr, gateway, gatewayFields, made, networkAddress, portMap } from "./local-fields.ts";

const loadBalancer = object({
  routingPreferences: defaulted(
    list(oneOf("Region", "Zone", "Subzone", "Node", "Cluster", "Network")),
    [],
  ),
  mode: defaulted(oneOf("Standard", "Strict", "Failover", "Passthrough"), "Standard"),
  healthPolicy: defaulted(oneOf("OnlyHealthy", "AllowAll"), "OnlyHealthy"),
});

/** Health is the workload's own; the copy in a dump is not read. */
const endpoint = object(
  { workloadUid: required(string), port: defaulted(portMap, new Map()) },
  { ignored: ["status", "service", "address"] },
);

const weightedWaypoint = made(
  object({ ...gatewayFields, weight: required(integer(0, 2 ** 32 - 1)) }),
  "a weighted waypoint",
  ({ weight, ...destination }) => ({ destination, weight }),
);

const fields = object({
  name: required(string),
  namespace: required(string),
  hostname: required(string),
  vips: defaulted(list(networkAddress), []),
  cidrVips: defaulted(list(object({ network: defaulted(string, ""), cidr: required(cidr) })), []),
  ports: defaulted(portMap, new Map()),
  endpoints: defaulted(record(endpoint), {}),
  subjectAltNames: defaulted(list(string), []),
  waypoint: optional(gateway),
  weightedWaypoints: defaulted(list(weightedWaypoint), []),
  loadBalancer: optional(loadBalancer),
  ipFamilies: defaulted(oneOf("Automatic", "IPv4Only", "IPv6Only", "Dual"), "Automatic"),
  canonical: defaulted(boolean, false),
  visibility: defaulted(oneOf("Public", "Namespace"), "Public"),
});

export interface LocalService {
  readonly service: Service;
  /** By workload uid. */
  readonly endpoints: ReadonlyMap<string, PortMap>;
}

export const localService: Schema<LocalService> = made(
  fields,
  "a service",
  ({ ports, endpoints, loadBalancer: loadBalancing, ...rest }): LocalService => ({
    service: {
      ...rest,
      ports: [...ports].map(([servicePort, targetPort]) => ({
        servicePort,
        targetPort,
        appProtocol: "UNKNOWN",
      })),
      ...(loadBalancing && { loadBalancing }),
      ingressUseWaypoint: false,
    },
    endpoints: new Map(
      Object.values(endpoints).map(({ workloadUid, port }) => [workloadUid, port]),
    ),
  }),
);
