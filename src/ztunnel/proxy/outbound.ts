/**
 * Connections that the pod's application opens (wire/ztunnel.md section 4): captured on 15001, decided, then carried over
 * HBONE, over HBONE inside HBONE, or in the clear. This file only acts; what to do is decided in route.ts.
 */
import type { Socket } from "node:net";
import { asMeshError, MeshError } from "../../shared/base/errors.ts";
import { joinFlow } from "../../shared/hbone/flow.ts";
import type { Flow, FlowEndpoint, TunnelStream } from "../../shared/hbone/tunnel.ts";
import type { MeshView } from "../../shared/model/mesh-view.ts";
import type { Workload } from "../../shared/model/workload.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";
import type { TcpConnection } from "../../shared/os/tcp-connection.ts";
import { farEndFromBaggage, type Party, partyOf } from "../telemetry/party.ts";
import type { ConnectionReport } from "../telemetry/report.ts";
import type { TrafficContext } from "../telemetry/traffic.ts";
import { parseBaggage } from "./baggage.ts";
import { connectHeaders, newTraceparent } from "./connect-headers.ts";
import type { TrackedConnection } from "./connections.ts";
import { recordRefusal } from "./decisions.ts";
import { openDoubleTunnel, openTunnel, type TunnelOrigin } from "./hbone-connect.ts";
import { decideOnDemand } from "./on-demand.ts";
import { decideOutbound, isSelfCall } from "./route.ts";
import type {
  DoubleHboneRoute,
  HboneRoute,
  OutboundDecision,
  OutboundRoute,
  TcpRoute,
} from "./route-types.ts";
import type { PodScope } from "./scope.ts";

/** A connection that some listener of ours has taken from the application. */
export interface Departure {
  readonly socket: TcpConnection | Socket;
  readonly tracked: TrackedConnection;
  readonly client: SocketAddress;
  readonly destination: SocketAddress;
  /** Called once when the far end has taken the connection, before the first byte moves. */
  readonly onOpen?: (() => void) | undefined;
}

/** One connection on its way out. */
interface Outgoing extends Departure {
  readonly scope: PodScope;
  readonly source: Workload;
}

/** Serves one captured socket to its end. Never rejects; afterwards nothing of the connection is left. */
export async function handleOutbound(scope: PodScope, socket: TcpConnection): Promise<void> {
  const client = socket.peer;
  const destination = scope.network.originalDestination(socket);
  const open = scope.node.reporter.metrics.socketsOpen("source");
  open.value++;
  const tracked = scope.connections.add("outbound");
  try {
    if (destination !== undefined)
      await carryOutbound(scope, { socket, tracked, client, destination });
  } finally {
    socket.close();
    tracked.over();
    open.value--;
  }
}

/**
 * Decides where the connection goes and stays with it to its end. Never rejects; gives the error if it never opened, and
 * then nothing has been read from the socket or written to it.
 */
export async function carryOutbound(
  scope: PodScope,
  departure: Departure,
): Promise<MeshError | undefined> {
  const { client, destination } = departure;
  try {
    return await carry(scope, departure);
  } catch (thrown) {
    const error = asMeshError(thrown, "io-failed", "io error");
    scope.node.reporter.earlyDeny("outbound", client, destination, error);
    // Where there was a route, it is in a record already.
    if (!(thrown instanceof RouteRefused))
      recordRefusal(scope, { direction: "outbound", source: client, destination, error });
    return error;
  }
}

class RouteRefused extends MeshError {}

async function carry(scope: PodScope, departure: Departure): Promise<MeshError | undefined> {
  const { socket, tracked, client, destination, onOpen } = departure;
  // Before anything is waited for: such a call could otherwise multiply while it waits.
  if (isSelfCall(destination, scope.node.illegalPorts))
    throw new MeshError("self-call", "attempted recursive call to ourselves");
  const source = scope.local.current() ?? (await scope.local.wait(tracked.signal));
  const outgoing: Outgoing = { socket, tracked, client, destination, onOpen, scope, source };
  const decided = decide(outgoing);
  const route = decided instanceof Promise ? await decided : decided;
  switch (route.kind) {
    case "tcp":
      return throughTcp(outgoing, route);
    case "hbone":
      return throughTunnel(outgoing, route);
    case "double-hbone":
      return throughGateway(outgoing, route);
    case "refuse": {
      const error = new RouteRefused(route.code, route.message);
      noteRefusal(outgoing, route, error);
      throw error;
    }
  }
}

/** Decides; most decisions need to wait for nothing. */
function decide(outgoing: Outgoing): OutboundRoute | Promise<OutboundRoute> {
  const { scope, tracked, client, destination, source } = outgoing;
  const { config, store, demand, illegalPorts, random } = scope.node;
  const context = { network: config.network, illegalPorts, random };
  const request = { source, sourceIp: client.ip, destination };
  const take = (view: MeshView): OutboundDecision => decideOutbound(view, context, request);
  if (demand !== undefined)
    return decideOnDemand(store, demand, tracked.signal, take).then((decision) =>
      resolve(outgoing, decision),
    );
  const decision = take(store);
  return decision.kind === "resolve" ? resolve(outgoing, decision) : decision;
}

/** Looks up hostnames as long as the decision asks for it. */
async function resolve(outgoing: Outgoing, first: OutboundDecision): Promise<OutboundRoute> {
  const { scope, tracked, source } = outgoing;
  const { reporter, resolveHostname } = scope.node;
  let decision = first;
  while (decision.kind === "resolve") {
    reporter.metrics.onDemandDns(partyOf(source), decision.hostname);
    decision = decision.proceed(
      await resolveHostname(decision.hostname, decision.preferredFamily, tracked.signal),
    );
  }
  return decision;
}

function noteRefusal(outgoing: Outgoing, route: OutboundRoute, error: MeshError): void {
  const { scope, client, destination } = outgoing;
  const { kind, reason } = route;
  const tunneled = kind === "hbone" || kind === "double-hbone";
  recordRefusal(scope, {
    direction: "outbound",
    source: client,
    destination,
    authority: tunneled ? route.authority : undefined,
    error,
    route: {
      kind,
      reason,
      nextHop: kind === "refuse" ? undefined : route.actualDestination,
      expects: tunneled ? route.acceptedIdentities : [],
    },
  });
}

/** The connection will not open. */
function failed(
  outgoing: Outgoing,
  route: OutboundRoute,
  report: ConnectionReport,
  error: MeshError,
): MeshError {
  report.end(error);
  noteRefusal(outgoing, route, error);
  return error;
}

function contextOf(
  source: Workload,
  destination: Party | undefined,
  service: OutboundRoute["service"],
  mutualTls: boolean,
): TrafficContext {
  const party = partyOf(source);
  return {
    reporter: "source",
    source: party,
    sourceIdentity: mutualTls ? party.identity : undefined,
    destination,
    destinationIdentity: mutualTls ? destination?.identity : undefined,
    service,
    mutualTls,
  };
}

/** Joins client and upstream and stays until both are done. */
async function join(
  outgoing: Outgoing,
  upstream: FlowEndpoint,
  report: ConnectionReport,
): Promise<void> {
  outgoing.onOpen?.();
  const flow: Flow = joinFlow(outgoing.socket, upstream);
  outgoing.tracked.opened(flow);
  report.follow(() => ({ toServer: flow.sent, toClient: flow.received }));
  const { error } = await flow.done;
  report.end(error);
}

async function throughTcp(outgoing: Outgoing, route: TcpRoute): Promise<MeshError | undefined> {
  const { scope, tracked, client, destination } = outgoing;
  const { node } = scope;
  const upstream = route.upstream === undefined ? undefined : partyOf(route.upstream);
  const report = node.reporter.open(
    { direction: "outbound", source: client, destination: route.actualDestination },
    contextOf(outgoing.source, upstream, route.service, false),
  );
  tracked.details = {
    source: client,
    originalDestination: destination,
    actualDestination: route.actualDestination,
    protocol: "TCP",
  };
  let socket: TcpConnection;
  try {
    socket = await scope.network.connectTcp({
      destination: route.actualDestination,
      mark: node.sockets.mark,
      keepAlive: node.sockets.keepAlive,
      timeoutMs: node.config.connectTimeoutMs,
      signal: tracked.signal,
    });
  } catch (thrown) {
    const error = asMeshError(thrown, "connect-failed", "connection failed");
    return failed(outgoing, route, report, error);
  }
  await join(outgoing, socket, report);
  return undefined;
}

function originOf(outgoing: Outgoing): TunnelOrigin {
  const { scope, client, source } = outgoing;
  return { scope, sourceIp: client.ip, identity: scope.local.identity(source) };
}

function headersFor(outgoing: Outgoing, service: OutboundRoute["service"]) {
  return connectHeaders({
    source: outgoing.source,
    client: outgoing.client,
    serviceHostname: service?.hostname,
    traceparent: newTraceparent(),
  });
}

async function throughTunnel(
  outgoing: Outgoing,
  route: HboneRoute,
): Promise<MeshError | undefined> {
  const { scope, tracked, client, destination } = outgoing;
  const report = scope.node.reporter.open(
    {
      direction: "outbound",
      source: client,
      destination: route.actualDestination,
      hboneAuthority: route.authority,
    },
    contextOf(outgoing.source, partyOf(route.upstream), route.service, true),
  );
  tracked.details = {
    source: client,
    originalDestination: destination,
    actualDestination: route.actualDestination,
    protocol: "HBONE",
  };
  let stream: TunnelStream;
  try {
    ({ stream } = await openTunnel(
      originOf(outgoing),
      { destination: route.actualDestination, acceptedIdentities: route.acceptedIdentities },
      { authority: route.authority, headers: headersFor(outgoing, route.service) },
      tracked.signal,
    ));
  } catch (thrown) {
    return failed(outgoing, route, report, asMeshError(thrown, "h2-failed", "h2 failed"));
  }
  await join(outgoing, stream, report);
  return undefined;
}

/** Two tunnels, one in the other. Who is at the far end is only known from its answer, so the report begins there. */
async function throughGateway(
  outgoing: Outgoing,
  route: DoubleHboneRoute,
): Promise<MeshError | undefined> {
  const { scope, tracked, client, destination } = outgoing;
  const { reporter } = scope.node;
  const facts = {
    direction: "outbound",
    source: client,
    destination: route.actualDestination,
    hboneAuthority: route.authority,
  } as const;
  tracked.details = {
    source: client,
    originalDestination: destination,
    actualDestination: route.actualDestination,
    protocol: "DOUBLEHBONE",
  };
  const headers = headersFor(outgoing, route.service);
  let stream: TunnelStream;
  let far: Party;
  try {
    const inner = await openDoubleTunnel(
      originOf(outgoing),
      { destination: route.actualDestination, acceptedIdentities: route.acceptedIdentities },
      { authority: route.authority, headers },
      {
        acceptedIdentities: route.innerIdentities,
        request: {
          authority: route.authority,
          headers: [...headers, ["x-forwarded-network", route.forwardedNetwork]],
        },
      },
      tracked.signal,
    );
    stream = inner.stream;
    far = farEndFromBaggage(parseBaggage(inner.headers), inner.peer);
  } catch (thrown) {
    // As far as it got, the gateway was the other end.
    const context = contextOf(outgoing.source, partyOf(route.gateway), route.service, true);
    const report = reporter.open(facts, context);
    return failed(outgoing, route, report, asMeshError(thrown, "h2-failed", "h2 failed"));
  }
  const report = reporter.open(facts, contextOf(outgoing.source, far, route.service, true));
  await join(outgoing, stream, report);
  return undefined;
}
