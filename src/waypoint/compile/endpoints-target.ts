/** One endpoint: where it is, how it is reached, and what is known about it. */
import { parseAuthority, type SocketAddress } from "../../shared/net/authority.ts";
import { parseIp } from "../../shared/net/ip.ts";
import {
  type Address,
  EnvoyInternalAddressSchema,
  type SocketAddress as SocketAddressMessage,
  SocketAddressSchema,
} from "../../shared/wire/gen/envoy/config/core/v3/address_pb.js";
import type { Metadata } from "../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import { HealthStatus } from "../../shared/wire/gen/envoy/config/core/v3/health_check_pb.js";
import {
  type Endpoint,
  EndpointSchema,
  type LbEndpoint,
} from "../../shared/wire/gen/envoy/config/endpoint/v3/endpoint_components_pb.js";
import type {
  EndpointConfig,
  EndpointHealth,
  EndpointTarget,
  EndpointWorkload,
} from "../model/endpoints.ts";
import { isObject, metadataAt, metadataText } from "./cluster-values.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";

/** Where ztunnels and waypoints take tunnels. */
const hbonePort = 15008;

const originalDst = "envoy.filters.listener.original_dst";

export function compileEndpoint(message: LbEndpoint, path: Path, notes: Notes): EndpointConfig {
  if (message.hostIdentifier.case !== "endpoint")
    throw new CompileError(path, "names no endpoint of its own");
  const endpoint = message.hostIdentifier.value;
  const endpointPath = at(path, "endpoint");
  checkFields(endpoint, EndpointSchema, endpointPath, notes, {
    used: ["address", "additional_addresses", "hostname"],
    decorative: ["health_check_config"],
  });
  const { metadata } = message;
  const weight = message.loadBalancingWeight ?? 1;
  if (weight === 0)
    throw new CompileError(at(path, "load_balancing_weight"), "must be at least 1 where it is set");
  return {
    ...compileTarget(endpoint, metadata, endpointPath, notes),
    hostname: endpoint.hostname,
    weight,
    health: healthOf(message.healthStatus),
    hashKey: metadataText(metadata, "envoy.lb", "hash_key"),
    workload: workloadOf(metadata),
    transportMatch: labelsOf(metadata),
  };
}

type Target = Pick<EndpointConfig, "hostText" | "target">;

function compileTarget(
  endpoint: Endpoint,
  metadata: Metadata | undefined,
  path: Path,
  notes: Notes,
): Target {
  const addressPath = at(path, "address");
  const { address } = endpoint;
  if (address?.address.case === "socketAddress")
    return socketTarget(endpoint, address.address.value, addressPath, notes);
  if (address?.address.case !== "envoyInternalAddress")
    throw new CompileError(addressPath, "is neither a socket address nor an internal one");
  const internal = address.address.value;
  const internalPath = at(addressPath, "envoy_internal_address");
  checkFields(internal, EnvoyInternalAddressSchema, internalPath, notes, {
    used: ["server_listener_name", "endpoint_id"],
  });
  const listener = internal.addressNameSpecifier.value ?? "";
  return {
    hostText: `envoy://${listener}/${internal.endpointId}`,
    target: internalTarget(listener, metadata, internalPath),
  };
}

/** What the reference's internal listeners would do with a connection. */
function internalTarget(
  listener: string,
  metadata: Metadata | undefined,
  path: Path,
): EndpointTarget {
  const local = metadataText(metadata, originalDst, "local");
  // The static endpoints of `main_internal`, `encap` and the like.
  if (local === undefined) return { kind: "internal", listener };
  const address = addressIn(local, `${path}: metadata ${originalDst}.local`);
  if (listener === "connect_originate") {
    const waypoint = metadataText(metadata, originalDst, "waypoint");
    const tunnel =
      waypoint === undefined
        ? address.ip
        : addressIn(waypoint, `${path}: metadata ${originalDst}.waypoint`).ip;
    return { kind: "hbone", address, tunnel: { ip: tunnel, port: hbonePort } };
  }
  if (listener === "inner_connect_originate") {
    const authority = metadataText(metadata, "istio", "double_hbone", "hbone_target_address");
    if (authority === undefined || parseAuthority(authority) === undefined)
      throw new CompileError(path, "needs metadata istio.double_hbone.hbone_target_address");
    return { kind: "double-hbone", gateway: { ip: address.ip, port: hbonePort }, authority };
  }
  throw new CompileError(at(path, "server_listener_name"), `${listener} is not supported`);
}

function socketTarget(
  endpoint: Endpoint,
  message: SocketAddressMessage,
  path: Path,
  notes: Notes,
): Target {
  const { host, port } = compileSocketAddress(message, at(path, "socket_address"), notes);
  const ip = parseIp(host);
  const hostText = ip?.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  if (ip === undefined) {
    if (endpoint.additionalAddresses.length > 0)
      throw new CompileError(at(path, "additional_addresses"), "a name cannot have them");
    return { hostText, target: { kind: "name", host, port } };
  }
  const additional = endpoint.additionalAddresses.map((further, index) =>
    compileIpAddress(further.address, item(path, "additional_addresses", index), notes),
  );
  return { hostText, target: { kind: "tcp", address: { ip, port }, additional } };
}

function compileSocketAddress(
  message: SocketAddressMessage,
  path: Path,
  notes: Notes,
): { readonly host: string; readonly port: number } {
  checkFields(message, SocketAddressSchema, path, notes, {
    used: ["address", "port_value"],
    decorative: ["ipv4_compat"],
  });
  if (message.portSpecifier.case !== "portValue")
    throw new CompileError(at(path, "port_value"), "is missing");
  const port = message.portSpecifier.value;
  if (port > 65535) throw new CompileError(at(path, "port_value"), "must be at most 65535");
  if (message.address === "") throw new CompileError(at(path, "address"), "is missing");
  return { host: message.address, port };
}

function compileIpAddress(message: Address | undefined, path: Path, notes: Notes): SocketAddress {
  if (message?.address.case !== "socketAddress")
    throw new CompileError(path, "is not a socket address");
  const { host, port } = compileSocketAddress(message.address.value, path, notes);
  const ip = parseIp(host);
  if (ip === undefined) throw new CompileError(path, `${host} is not an IP address`);
  return { ip, port };
}

function addressIn(text: string, path: Path): SocketAddress {
  const authority = parseAuthority(text);
  if (authority?.kind !== "address")
    throw new CompileError(path, `"${text}" is not an IP address with a port`);
  return authority.address;
}

/** DRAINING takes no new requests, as UNHEALTHY. */
function healthOf(status: HealthStatus): EndpointHealth {
  switch (status) {
    case HealthStatus.UNHEALTHY:
    case HealthStatus.DRAINING:
    case HealthStatus.TIMEOUT:
      return "unhealthy";
    case HealthStatus.DEGRADED:
      return "degraded";
    default:
      return "healthy";
  }
}

function workloadOf(metadata: Metadata | undefined): EndpointWorkload | undefined {
  const text = metadataText(metadata, "istio", "workload");
  if (text === undefined) return undefined;
  const [workload = "", namespace = "", service = "", revision = "", cluster = ""] =
    text.split(";");
  return {
    workload,
    namespace,
    canonicalService: service,
    canonicalRevision: revision,
    cluster,
  };
}

const noLabels: ReadonlyMap<string, string> = new Map();

function labelsOf(metadata: Metadata | undefined): ReadonlyMap<string, string> {
  const labels = metadataAt(metadata, "envoy.transport_socket_match");
  if (!isObject(labels)) return noLabels;
  return new Map(
    Object.entries(labels).map(([key, value]) => [
      key,
      typeof value === "string" ? value : JSON.stringify(value),
    ]),
  );
}
