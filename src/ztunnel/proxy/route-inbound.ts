/**
 * The two inbound decisions (wire/ztunnel.md section 5): is this connection for our pod at all, and where does the
 * application take it. Authorization comes after, with the facts given here; only then may anything be connected.
 */
import type { ConnectionFacts } from "../../shared/authz/decision.ts";
import type { ErrorCode } from "../../shared/base/errors.ts";
import { formatSpiffe } from "../../shared/identity/spiffe.ts";
import type { MeshView } from "../../shared/model/mesh-view.ts";
import {
  type GatewayAddress,
  type Service,
  serviceKey,
  type Workload,
} from "../../shared/model/workload.ts";
import { type Authority, parseAuthority, type SocketAddress } from "../../shared/net/authority.ts";
import { familyOf, type IpAddress, ipOf } from "../../shared/net/ip.ts";
import { targetPortOf } from "./endpoint.ts";
import { gatewayTarget } from "./route-gateway.ts";
import type {
  InboundConnect,
  InboundContext,
  InboundDecision,
  InboundRefusal,
  InboundRequest,
  PlaintextRequest,
  ProxyHeader,
} from "./route-inbound-types.ts";

function refuse(code: ErrorCode, status: 400 | 503, message: string): InboundRefusal {
  return { kind: "refuse", code, status, message };
}

/** A CONNECT on the HBONE port, checks 3 to 10 of section 5.1 in their order. */
export function decideInbound(
  view: MeshView,
  context: InboundContext,
  request: InboundRequest,
): InboundDecision {
  if (request.method !== "CONNECT")
    return refuse("bad-connect", 400, `expected method CONNECT, got ${request.method}`);
  const authority = parseAuthority(request.authority);
  if (authority === undefined)
    return refuse("bad-connect", 400, `invalid CONNECT address ${request.authority}`);
  const { local } = request;
  if (local === undefined)
    return refuse("unknown-workload", 503, "the pod's own workload is not known");
  const arrivedAt = request.connectionDestination.ip;
  if (authority.kind === "host") return toHostname(view, context, request, local, authority);
  const asked = authority.address;
  if (!isForUs(view, context, local, arrivedAt, asked.ip))
    return refuse("destination-mismatch", 400, `ip mismatch: ${arrivedAt} != ${asked.ip}`);
  return toApplication(view, context, request, local, {
    port: asked.port,
    service: undefined,
    proxyDestination: asked,
  });
}

/** Section 5.2: our own address, an application that is tunneled to, or something whose waypoint we are. */
function isForUs(
  view: MeshView,
  context: InboundContext,
  local: Workload,
  arrivedAt: IpAddress,
  asked: IpAddress,
): boolean {
  if (asked === arrivedAt || local.applicationTunnel !== undefined) return true;
  const owner =
    view.workloadByAddress(context.network, asked) ?? view.serviceByVip(context.network, asked, {});
  if (owner === undefined) return false;
  return waypointsOf(owner).some((gateway) => {
    const target = gatewayTarget(view, gateway, undefined);
    if (target === undefined) return false;
    if (target.kind === "workload") return target.workload.addresses.includes(arrivedAt);
    const { namespace, hostname } = target.service;
    return view.endpoint(serviceKey(namespace, hostname), local.uid) !== undefined;
  });
}

/** The reference forgets the weighted ones here, so that a canary waypoint refuses its traffic; we count them. */
function waypointsOf(owner: Workload | Service): GatewayAddress[] {
  const weighted = "weightedWaypoints" in owner ? owner.weightedWaypoints : [];
  return [
    ...(owner.waypoint === undefined ? [] : [owner.waypoint]),
    ...weighted.map((entry) => entry.destination),
  ];
}

function toHostname(
  view: MeshView,
  context: InboundContext,
  request: InboundRequest,
  local: Workload,
  authority: Extract<Authority, { kind: "host" }>,
): InboundDecision {
  const { host, port: servicePort } = authority;
  const service = ownServiceFirst(view, local, host);
  if (service === undefined)
    return refuse("unknown-destination", 503, `no service or workload for hostname: ${host}`);
  const endpoint = view.endpoint(serviceKey(service.namespace, service.hostname), local.uid);
  const port = targetPortOf(service, servicePort, local, endpoint?.ports);
  const found = `requested service ${host}:${servicePort} found, but`;
  if (port === undefined) return refuse("unknown-destination", 503, `${found} cannot resolve port`);
  if (isIllegal(context, local, port)) return selfCall();
  const vip = preferredVip(service, context.network);
  if (vip === undefined && local.applicationTunnel?.protocol === "PROXY")
    return refuse("unknown-destination", 503, `${found} has no IP addresses`);
  return toApplication(view, context, request, local, {
    port,
    service,
    proxyDestination: vip && { ip: vip, port: servicePort },
  });
}

/** Several namespaces may define the host: the service we stand behind, then our namespace's, then the best ranked. */
function ownServiceFirst(view: MeshView, local: Workload, host: string): Service | undefined {
  const services = view.servicesByHostname(host);
  return (
    services.find(
      ({ namespace, hostname }) =>
        view.endpoint(serviceKey(namespace, hostname), local.uid) !== undefined,
    ) ??
    services.find(({ namespace }) => namespace === local.namespace) ??
    services[0]
  );
}

/** Our own network before others, IPv4 before IPv6. */
function preferredVip(service: Service, network: string): IpAddress | undefined {
  const rank = (vip: Service["vips"][number]): number =>
    (vip.network === network ? 0 : 2) + (familyOf(vip.ip) === 4 ? 0 : 1);
  return service.vips.toSorted((a, b) => rank(a) - rank(b))[0]?.ip;
}

function finalPort(local: Workload, port: number): number {
  return local.applicationTunnel?.port ?? port;
}

function isIllegal(context: InboundContext, local: Workload, port: number): boolean {
  return context.illegalPorts.has(finalPort(local, port));
}

function selfCall(): InboundRefusal {
  return refuse("self-call", 503, "attempted recursive call to ourselves");
}

/** Sections 5.3 and 5.4: the socket address of the application, and what authorization is to judge. */
function toApplication(
  view: MeshView,
  context: InboundContext,
  request: InboundRequest,
  local: Workload,
  asked: {
    readonly port: number;
    readonly service: Service | undefined;
    readonly proxyDestination: SocketAddress | undefined;
  },
): InboundDecision {
  if (isIllegal(context, local, asked.port)) return selfCall();
  const port = finalPort(local, asked.port);
  const ip = request.connectionDestination.ip;
  const proxied = local.applicationTunnel?.protocol === "PROXY";
  const viaLoopback = proxied && context.localhostAppTunnel;
  const facts: ConnectionFacts = {
    sourceIp: request.peer.ip,
    peer: request.peerIdentity,
    destinationIp: ip,
    destinationPort: port,
  };
  return {
    kind: "connect",
    destination: viaLoopback ? { ip: loopbackOf(ip), port } : { ip, port },
    sourceBinding: viaLoopback ? "loopback" : sourceBinding(request.peer.ip, ip),
    facts,
    service: asked.service ?? reportedService(view, local, asked.port, request.forwardedHost),
    proxyHeader: proxied ? proxyHeader(request, asked.proxyDestination) : undefined,
  };
}

function proxyHeader(
  request: InboundRequest,
  destination: SocketAddress | undefined,
): ProxyHeader | undefined {
  if (destination === undefined) return undefined;
  return { source: request.peer, destination, identity: formatSpiffe(request.peerIdentity) };
}

function loopbackOf(ip: IpAddress): IpAddress {
  return familyOf(ip) === 4 ? ipOf("127.0.0.1") : ipOf("::1");
}

/** Towards itself a pod cannot be sent from its own address by somebody else. */
function sourceBinding(peer: IpAddress, destination: IpAddress): InboundConnect["sourceBinding"] {
  return peer === destination ? "own" : "peer";
}

/** Of the pod's own services the one that the client named, else the first that leads to this port. For labels only. */
function reportedService(
  view: MeshView,
  local: Workload,
  port: number,
  forwardedHost: string | undefined,
): Service | undefined {
  let byPort: Service | undefined;
  for (const [key, ports] of local.services) {
    const service = view.service(key);
    if (service === undefined) continue;
    if (forwardedHost !== undefined && service.hostname === forwardedHost) return service;
    if (byPort === undefined && [...ports.values()].includes(port)) byPort = service;
  }
  return byPort;
}

/** Section 5.5: plaintext caught on its way to the pod. There is no identity, and the destination stays as it is. */
export function decidePassthrough(
  view: MeshView,
  context: Pick<InboundContext, "illegalPorts">,
  request: PlaintextRequest,
): InboundDecision {
  const { destination, local, peer } = request;
  if (context.illegalPorts.has(destination.port)) return selfCall();
  return {
    kind: "connect",
    destination,
    sourceBinding: sourceBinding(peer.ip, destination.ip),
    facts: {
      sourceIp: peer.ip,
      peer: undefined,
      destinationIp: destination.ip,
      destinationPort: destination.port,
    },
    service: reportedService(view, local, destination.port, undefined),
    proxyHeader: undefined,
  };
}
