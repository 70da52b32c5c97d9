/**
 * The outbound decision (wire/ztunnel.md sections 4.1 to 4.4): from what the mesh knows to one closed outcome. No I/O; the
 * only thing it cannot know, the address behind a hostname, it asks for with a `resolve` step.
 */
import type { ErrorCode } from "../../shared/base/errors.ts";
import { formatSpiffe } from "../../shared/identity/spiffe.ts";
import type { MeshView } from "../../shared/model/mesh-view.ts";
import { identityOf } from "../../shared/model/store-workloads.ts";
import type { GatewayAddress, Service, Workload } from "../../shared/model/workload.ts";
import { formatSocketAddress, type SocketAddress } from "../../shared/net/authority.ts";
import { familyOf, type IpAddress, isLoopback } from "../../shared/net/ip.ts";
import { chooseEndpoint, PassedOverNotes, type Upstream } from "./endpoint.ts";
import { chooseAddress, pickResolved } from "./endpoint-address.ts";
import { gatewayText, isInstanceOf, resolveGateway, waypointOf } from "./route-gateway.ts";
import type {
  OutboundDecision,
  OutboundRequest,
  RefusedRoute,
  RouteContext,
  RouteReason,
} from "./route-types.ts";

/** Where every ztunnel takes HBONE. */
const HBONE_PORT = 15008;

/** Ports of the proxy itself: nobody may be sent to them. */
export function illegalPorts(options: { readonly socks5: boolean }): ReadonlySet<number> {
  return new Set([15001, 15006, HBONE_PORT, ...(options.socks5 ? [15080] : [])]);
}

/** A call of the proxy to itself, to be refused before anything is looked up. */
export function isSelfCall(destination: SocketAddress, illegal: ReadonlySet<number>): boolean {
  return isLoopback(destination.ip) && illegal.has(destination.port);
}

/** One connection on its way to a decision. */
interface Deciding {
  readonly view: MeshView;
  readonly context: RouteContext;
  readonly request: OutboundRequest;
  readonly addressed: RouteReason["addressed"];
  /** The service that owns the destination address, when it is no workload's. */
  readonly target: Service | undefined;
  readonly notes: PassedOverNotes;
}

export function decideOutbound(
  view: MeshView,
  context: RouteContext,
  request: OutboundRequest,
): OutboundDecision {
  const { source, destination } = request;
  const { network } = context;
  const workload = view.workloadByAddress(network, destination.ip);
  const service = view.serviceByVip(network, destination.ip, {
    clientNamespace: source.namespace,
  });
  const target = workload === undefined ? service : undefined;
  const deciding: Deciding = {
    view,
    context,
    request,
    addressed: addressedAs(workload, target),
    target,
    notes: new PassedOverNotes(),
  };
  if (isSelfCall(destination, context.illegalPorts))
    return refuse(deciding, "self-call", "attempted recursive call to ourselves");
  const waypoint = target && waypointOf(target, context.random);
  if (target !== undefined && waypoint !== undefined)
    return throughServiceWaypoint(deciding, target, waypoint);
  return toUpstream(deciding, service, workload);
}

function addressedAs(
  workload: Workload | undefined,
  service: Service | undefined,
): RouteReason["addressed"] {
  if (workload !== undefined) return { kind: "workload", uid: workload.uid };
  if (service === undefined) return { kind: "unknown" };
  return { kind: "service", hostname: service.hostname, namespace: service.namespace };
}

function reasonOf({ addressed, notes }: Deciding, text: string): RouteReason {
  return { text, addressed, passedOver: notes.entries, passedOverTotal: notes.total };
}

function refuse(deciding: Deciding, code: ErrorCode, message: string): RefusedRoute {
  const reason = reasonOf(deciding, message);
  return { kind: "refuse", code, message, reason, service: deciding.target };
}

/** A workload's own identity as a list of one. Records are replaced, never changed. */
const ownIdentity = new WeakMap<Workload, readonly string[]>();

function ownIdentityOf(workload: Workload): readonly string[] {
  let list = ownIdentity.get(workload);
  if (list === undefined) {
    list = [formatSpiffe(workload)];
    ownIdentity.set(workload, list);
  }
  return list;
}

/** The identities that this hop may show: the service's own list and the workload's. */
function identitiesOf(hop: Upstream): readonly string[] {
  const own = ownIdentityOf(hop.workload);
  const more = hop.service?.subjectAltNames ?? [];
  return more.length === 0 ? own : [...new Set([...more, ...own])];
}

/** Settles the address of a hop, through a DNS lookup if it is known by name only. */
function withAddress(
  { context }: Deciding,
  hop: Upstream,
  original: IpAddress,
  then: (ip: IpAddress) => OutboundDecision,
  otherwise: () => OutboundDecision,
): OutboundDecision {
  const choice = chooseAddress(hop, original);
  if (choice.kind === "ip") return then(choice.ip);
  if (choice.kind === "none") return otherwise();
  const preferredFamily = familyOf(original);
  return {
    kind: "resolve",
    hostname: choice.hostname,
    preferredFamily,
    workload: hop.workload,
    proceed: (addresses) => {
      const ip = pickResolved(addresses, preferredFamily, context.random);
      return ip === undefined ? otherwise() : then(ip);
    },
  };
}

/** Step 4: the service wants its traffic to pass a waypoint. */
function throughServiceWaypoint(
  deciding: Deciding,
  target: Service,
  gateway: GatewayAddress,
): OutboundDecision {
  const { request } = deciding;
  const { destination } = request;
  const unknown = (): RefusedRoute =>
    refuse(deciding, "unknown-waypoint", `unknown waypoint: ${gatewayText(gateway)}`);
  const hop = resolveGateway(queryOf(deciding), gateway, "waypoint", destination.ip);
  if (hop === undefined) return unknown();
  if (hop.workload.network !== request.source.network)
    return throughNetworkGateway(deciding, hop, target);
  return withAddress(
    deciding,
    hop,
    hop.familyOf,
    (ip) => ({
      kind: "hbone",
      via: "service-waypoint",
      actualDestination: { ip, port: hop.port },
      authority: formatSocketAddress(destination),
      acceptedIdentities: identitiesOf(hop),
      upstream: hop.workload,
      service: target,
      reason: reasonOf(deciding, `the service's waypoint ${gatewayText(gateway)} takes it`),
    }),
    unknown,
  );
}

/** Steps 5 and 6. For the choice of an upstream the service comes before the workload. */
function toUpstream(
  deciding: Deciding,
  service: Service | undefined,
  workload: Workload | undefined,
): OutboundDecision {
  const { destination, source } = deciding.request;
  if (service !== undefined && service.loadBalancing?.mode !== "Passthrough") {
    const { view, notes, context } = deciding;
    const hop = chooseEndpoint(view, {
      service,
      port: destination.port,
      rule: "strict",
      source,
      random: context.random,
      notes,
    });
    return hop === undefined ? noHealthyUpstream(deciding) : toHop(deciding, hop);
  }
  if (service === undefined && workload !== undefined)
    return toHop(deciding, { workload, port: destination.port, service: undefined });
  return {
    kind: "tcp",
    via: "passthrough",
    actualDestination: destination,
    upstream: undefined,
    service: undefined,
    reason: reasonOf(
      deciding,
      service === undefined
        ? "the mesh does not know this address: passed through"
        : "the service asks for passthrough",
    ),
  };
}

function noHealthyUpstream(deciding: Deciding): RefusedRoute {
  const address = formatSocketAddress(deciding.request.destination);
  return refuse(deciding, "no-healthy-upstream", `no healthy upstream: ${address}`);
}

/** Steps 7 to 9. */
function toHop(deciding: Deciding, hop: Upstream): OutboundDecision {
  const { request, target, view } = deciding;
  const { source } = request;
  if (hop.workload.network !== source.network) {
    if (target !== undefined) return throughNetworkGateway(deciding, hop, target);
    return refuse(deciding, "no-route", "no service for target address");
  }
  const waypoint = hop.workload.waypoint;
  if (target === undefined && waypoint !== undefined) {
    const caller = {
      identity: identityOf(source),
      ip: request.sourceIp,
      namespace: source.namespace,
    };
    if (!isInstanceOf(view, waypoint, caller))
      return throughWorkloadWaypoint(deciding, hop, waypoint);
  }
  return direct(deciding, hop);
}

function throughWorkloadWaypoint(
  deciding: Deciding,
  hop: Upstream,
  gateway: GatewayAddress,
): OutboundDecision {
  const { destination } = deciding.request;
  const unknown = (): RefusedRoute =>
    refuse(deciding, "unknown-waypoint", `unknown waypoint: ${gatewayText(gateway)}`);
  const waypoint = resolveGateway(queryOf(deciding), gateway, "waypoint", destination.ip);
  if (waypoint === undefined) return unknown();
  return withAddress(
    deciding,
    waypoint,
    waypoint.familyOf,
    (ip) => ({
      kind: "hbone",
      via: "workload-waypoint",
      actualDestination: { ip, port: waypoint.port },
      authority: formatSocketAddress(destination),
      acceptedIdentities: identitiesOf(waypoint),
      upstream: waypoint.workload,
      service: hop.service,
      reason: reasonOf(deciding, `the workload's waypoint ${gatewayText(gateway)} takes it`),
    }),
    unknown,
  );
}

function direct(deciding: Deciding, hop: Upstream): OutboundDecision {
  const common = { upstream: hop.workload, service: hop.service };
  const where =
    hop.service === undefined ? "the workload" : `an endpoint of ${hop.service.hostname}`;
  return withAddress(
    deciding,
    hop,
    deciding.request.destination.ip,
    (ip) =>
      hop.workload.protocol === "HBONE"
        ? {
            kind: "hbone",
            via: "direct",
            actualDestination: { ip, port: HBONE_PORT },
            authority: formatSocketAddress({ ip, port: hop.port }),
            acceptedIdentities: identitiesOf(hop),
            reason: reasonOf(deciding, `${where} takes HBONE`),
            ...common,
          }
        : {
            kind: "tcp",
            via: "plaintext",
            actualDestination: { ip, port: hop.port },
            reason: reasonOf(deciding, `${where} is not in the mesh: plaintext`),
            ...common,
          },
    () => noHealthyUpstream(deciding),
  );
}

/** Section 4.4: `hop` (an endpoint, or a waypoint) stands on another network, behind that network's gateway. */
function throughNetworkGateway(
  deciding: Deciding,
  hop: Upstream,
  target: Service,
): OutboundDecision {
  const { request, context } = deciding;
  const { destination } = request;
  const gateway = hop.workload.networkGateway;
  if (gateway === undefined)
    return refuse(
      deciding,
      "no-route",
      `no valid routing destination for workload ${hop.workload.uid}: it is on network "${hop.workload.network}", which has no gateway`,
    );
  const unknown = (): RefusedRoute =>
    refuse(deciding, "unknown-network-gateway", `unknown network gateway: ${gatewayText(gateway)}`);
  const first = resolveGateway(queryOf(deciding), gateway, "strict", destination.ip);
  if (first === undefined) return unknown();
  return withAddress(
    deciding,
    first,
    first.familyOf,
    (ip) => ({
      kind: "double-hbone",
      via: "network-gateway",
      actualDestination: { ip, port: first.port },
      authority: `${target.hostname}:${destination.port}`,
      acceptedIdentities: identitiesOf(first),
      innerIdentities: hop.service?.subjectAltNames ?? [],
      forwardedNetwork: context.network,
      upstream: hop.workload,
      gateway: first.workload,
      service: target,
      reason: reasonOf(
        deciding,
        `network "${hop.workload.network}" is reached through its gateway ${gatewayText(gateway)}`,
      ),
    }),
    unknown,
  );
}

function queryOf({
  view,
  request,
  context,
  notes,
}: Deciding): Parameters<typeof resolveGateway>[0] {
  return { view, source: request.source, random: context.random, notes };
}
