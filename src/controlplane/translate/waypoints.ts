/** Waypoints: which Gateways are some, where they are, whom they serve, and who asked for which. */
import { type LabelSelector, matchesSelector } from "../../shared/model/enrollment.ts";
import type { ApplicationTunnel, GatewayAddress } from "../../shared/model/workload.ts";
import { parseIp } from "../../shared/net/ip.ts";
import type { ObjectMeta, ObjectOf } from "../../shared/objects/kinds.ts";
import { Memo } from "./memo.ts";
import {
  GATEWAY_NAME,
  GATEWAY_NAME_OVERRIDE,
  INBOUND_BINDING,
  REMOTE_GATEWAY_CLASS,
  USE_WAYPOINT,
  USE_WAYPOINT_NAMESPACE,
  WAYPOINT_FOR,
  WAYPOINT_GATEWAY_CLASS,
} from "./names.ts";
import type { ObjectTable } from "./objects.ts";
import type { MeshSettings } from "./settings.ts";

export interface Waypoint {
  /** `namespace/name` of its Gateway. */
  readonly key: string;
  readonly namespace: string;
  readonly address: GatewayAddress | undefined;
  /** `service`, `workload`, `all` or `none`. */
  readonly trafficType: string;
  readonly allowedRoutes: AllowedRoutes;
  /** How traffic enters a waypoint that does not terminate the tunnel itself. */
  readonly binding: ApplicationTunnel | undefined;
}

type AllowedRoutes =
  | { readonly from: "Same" | "All" | "None" }
  | { readonly from: "Selector"; readonly selector: LabelSelector };

export type WaypointTable = ReadonlyMap<string, Waypoint>;

const HBONE_PORT = 15008;

/** Keeps a waypoint's reference while nothing about it changes, for those who remember what they made with it. */
export class WaypointBuilder {
  readonly #settings: MeshSettings;
  readonly #memo = new Memo<string, Waypoint>();
  #table: WaypointTable = new Map();

  constructor(settings: MeshSettings) {
    this.#settings = settings;
  }

  /** The same reference while no waypoint changed, came or went. */
  build(objects: ObjectTable, network: string): WaypointTable {
    const waypoints = new Map<string, Waypoint>();
    for (const gateway of objects.ofKind("Gateway")) {
      const addresses = gatewayAddresses(gateway, objects, this.#settings);
      if (addresses.length === 0) continue;
      const key = `${gateway.metadata.namespace}/${gateway.metadata.name}`;
      const gatewayClass = objects.find("GatewayClass", "", gateway.spec.gatewayClassName);
      const texts = addresses.map(({ type, value }) => `${type} ${value}`);
      const waypoint = this.#memo.get(key, [gateway, gatewayClass, texts, network], () =>
        makeWaypoint(gateway, addresses, gatewayClass, network),
      );
      waypoints.set(key, waypoint);
    }
    this.#memo.endPass();
    if (!sameEntries(this.#table, waypoints)) this.#table = waypoints;
    return this.#table;
  }
}

function sameEntries(a: WaypointTable, b: WaypointTable): boolean {
  if (a.size !== b.size) return false;
  for (const [key, waypoint] of a) if (b.get(key) !== waypoint) return false;
  return true;
}

interface StatusAddress {
  readonly type: string;
  readonly value?: string;
}

/**
 * A controller writes the addresses of a deployed gateway into its status. Where none runs (objects in files), they are
 * what it would write: the name of the service that stands for the gateway, else the stated addresses.
 */
function gatewayAddresses(
  gateway: ObjectOf<"Gateway">,
  objects: ObjectTable,
  settings: MeshSettings,
): readonly StatusAddress[] {
  if ((gateway.status?.addresses.length ?? 0) > 0) return gateway.status?.addresses ?? [];
  const { name, namespace, annotations } = gateway.metadata;
  const { gatewayClassName, addresses } = gateway.spec;
  const suffix = `${namespace}.svc.${settings.clusterDomain}`;
  const serviceName =
    annotations[GATEWAY_NAME_OVERRIDE] ??
    (gatewayClassName === WAYPOINT_GATEWAY_CLASS ? name : `${name}-${gatewayClassName}`);
  if (isDeployed(gateway) && objects.find("Service", namespace, serviceName) !== undefined)
    return [{ type: "Hostname", value: `${serviceName}.${suffix}` }];
  return addresses.map(({ type, value = "" }) =>
    type === "Hostname" && !value.includes(".")
      ? { type, value: `${value}.${suffix}` }
      : { type, value },
  );
}

/** Stated names are gateways that somebody else deployed; one stated IP address is only a wish for the service's. */
function isDeployed(gateway: ObjectOf<"Gateway">): boolean {
  const { gatewayClassName, addresses } = gateway.spec;
  if (gatewayClassName === REMOTE_GATEWAY_CLASS || addresses.length > 1) return false;
  return addresses.every(({ type }) => type === "IPAddress");
}

function makeWaypoint(
  gateway: ObjectOf<"Gateway">,
  addresses: readonly StatusAddress[],
  gatewayClass: ObjectOf<"GatewayClass"> | undefined,
  network: string,
): Waypoint {
  const { name, namespace, labels } = gateway.metadata;
  const binding = inboundBinding(
    gateway.metadata.annotations[INBOUND_BINDING] ??
      gatewayClass?.metadata.annotations[INBOUND_BINDING],
  );
  return {
    key: `${namespace}/${name}`,
    namespace,
    address: waypointAddress(namespace, addresses, network),
    trafficType: labels[WAYPOINT_FOR] ?? gatewayClass?.metadata.labels[WAYPOINT_FOR] ?? "service",
    allowedRoutes: allowedRoutesOf(gateway, binding),
    binding,
  };
}

/** A name is preferred over an address: it survives a new address of the service. */
function waypointAddress(
  namespace: string,
  addresses: readonly StatusAddress[],
  network: string,
): GatewayAddress | undefined {
  const named = addresses.find(({ type }) => type === "Hostname");
  if (named?.value !== undefined)
    return {
      destination: { kind: "hostname", namespace, hostname: named.value },
      hboneMtlsPort: HBONE_PORT,
    };
  for (const { type, value } of addresses) {
    const ip = type === "IPAddress" && value !== undefined ? parseIp(value) : undefined;
    if (ip !== undefined)
      return {
        destination: { kind: "address", address: { network, ip } },
        hboneMtlsPort: HBONE_PORT,
      };
  }
  return undefined;
}

/** `NONE`, `PROXY` or either with `/<port>`; anything else is no binding. A port that is no number counts as not given. */
function inboundBinding(text: string | undefined): ApplicationTunnel | undefined {
  const [protocol, port = "", ...rest] = (text ?? "").split("/");
  if ((protocol !== "NONE" && protocol !== "PROXY") || rest.length > 0) return undefined;
  return /^\d{1,5}$/.test(port) && Number(port) > 0
    ? { protocol, port: Number(port) }
    : { protocol };
}

type Listener = ObjectOf<"Gateway">["spec"]["listeners"][number];

function allowedRoutesOf(
  gateway: ObjectOf<"Gateway">,
  binding: ApplicationTunnel | undefined,
): AllowedRoutes {
  const { listeners } = gateway.spec;
  const listener =
    boundListener(listeners, binding) ??
    listeners.find((candidate) => candidate.protocol === "HBONE" && candidate.port === HBONE_PORT);
  const namespaces = listener?.allowedRoutes?.namespaces;
  if (namespaces === undefined) return { from: "Same" };
  if (namespaces.from === "Selector")
    return { from: "Selector", selector: namespaces.selector ?? {} };
  return { from: namespaces.from };
}

function boundListener(
  listeners: readonly Listener[],
  binding: ApplicationTunnel | undefined,
): Listener | undefined {
  if (binding === undefined) return undefined;
  if (binding.port !== undefined) return listeners.find(({ port }) => port === binding.port);
  return binding.protocol === "PROXY"
    ? listeners.find(({ protocol }) => protocol === "istio.io/PROXY")
    : undefined;
}

function allowsFrom(waypoint: Waypoint, namespace: string, objects: ObjectTable): boolean {
  switch (waypoint.allowedRoutes.from) {
    case "All":
      return true;
    case "Selector":
      return matchesSelector(waypoint.allowedRoutes.selector, objects.namespaceLabels(namespace));
    case "Same":
    case "None":
      return waypoint.namespace === namespace;
  }
}

/** Which waypoint an object gets, and why not when it does not get the one it asked for. */
export type Binding =
  | { readonly kind: "none" }
  | { readonly kind: "bound"; readonly waypoint: Waypoint }
  | { readonly kind: "refused"; readonly reason: BindingFailure; readonly message: string };

export type BindingFailure =
  | "WaypointIsNotReady"
  | "AttachmentDenied"
  | "UnsupportedTrafficType"
  | "CrossNamespaceWaypointForbidden"
  | "CanaryInvalidWeight"
  | "CanarySameAsPrimary";

const unbound: Binding = { kind: "none" };

export function refusal(reason: BindingFailure, message: string): Binding {
  return { kind: "refused", reason, message };
}

interface WaypointName {
  readonly namespace: string;
  readonly name: string;
}

/** The object's own label, or its namespace's. `none` on the object means: not even the namespace's. */
function requestedWaypoint(
  meta: ObjectMeta & { readonly namespace: string },
  objects: ObjectTable,
): WaypointName | undefined {
  const { namespace, labels } = meta;
  const chosen = Object.hasOwn(labels, USE_WAYPOINT) ? labels : objects.namespaceLabels(namespace);
  const name = chosen[USE_WAYPOINT];
  if (name === undefined || name === "none") return undefined;
  return { namespace: chosen[USE_WAYPOINT_NAMESPACE] ?? namespace, name };
}

export function hasOwnWaypoint(meta: ObjectMeta): boolean {
  return Object.hasOwn(meta.labels, USE_WAYPOINT) && meta.labels[USE_WAYPOINT] !== "none";
}

export function attach(
  name: WaypointName,
  namespace: string,
  waypoints: WaypointTable,
  objects: ObjectTable,
): Binding {
  const key = `${name.namespace}/${name.name}`;
  const waypoint = waypoints.get(key);
  if (waypoint === undefined)
    return refusal("WaypointIsNotReady", `waypoint "${key}" is not ready`);
  if (!allowsFrom(waypoint, namespace, objects))
    return refusal(
      "AttachmentDenied",
      `we are not permitted to attach to waypoint "${key}" (missing allowedRoutes?)`,
    );
  return { kind: "bound", waypoint };
}

function bindRequested(
  meta: ObjectMeta & { readonly namespace: string },
  waypoints: WaypointTable,
  objects: ObjectTable,
): Binding {
  const name = requestedWaypoint(meta, objects);
  return name === undefined ? unbound : attach(name, meta.namespace, waypoints, objects);
}

export function supports(waypoint: Waypoint, traffic: "service" | "workload"): boolean {
  return waypoint.trafficType === traffic || waypoint.trafficType === "all";
}

export function unsupportedTraffic(waypoint: Waypoint, traffic: "service" | "workload"): Binding {
  return refusal(
    "UnsupportedTrafficType",
    `attempting to bind to traffic type "${traffic}" which the waypoint "${waypoint.key}" does not support`,
  );
}

export function bindService(
  meta: ObjectMeta & { readonly namespace: string },
  waypoints: WaypointTable,
  objects: ObjectTable,
): Binding {
  const binding = bindRequested(meta, waypoints, objects);
  if (binding.kind !== "bound" || supports(binding.waypoint, "service")) return binding;
  return unsupportedTraffic(binding.waypoint, "service");
}

/** A waypoint for services, asked for by the namespace, is no failure of its workloads. */
export function bindWorkload(
  meta: ObjectMeta & { readonly namespace: string },
  waypoints: WaypointTable,
  objects: ObjectTable,
): Binding {
  const binding = bindRequested(meta, waypoints, objects);
  if (binding.kind !== "bound" || supports(binding.waypoint, "workload")) return binding;
  return hasOwnWaypoint(meta) ? unsupportedTraffic(binding.waypoint, "workload") : unbound;
}

/** The waypoint that this workload is an instance of. */
export function waypointOfInstance(
  meta: ObjectMeta & { readonly namespace: string },
  waypoints: WaypointTable,
): Waypoint | undefined {
  const name = meta.labels[GATEWAY_NAME];
  return name === undefined || name === "" ? undefined : waypoints.get(`${meta.namespace}/${name}`);
}
