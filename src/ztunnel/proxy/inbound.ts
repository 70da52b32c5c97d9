/**
 * Tunnels that other proxies open to the pod (wire/ztunnel.md section 5.1): mutual TLS on 15008, then any number of CONNECT
 * streams, each checked on its own. 200 is sent only when the application has taken the connection.
 */
import { asMeshError, type MeshError } from "../../shared/base/errors.ts";
import { joinFlow } from "../../shared/hbone/flow.ts";
import { serveHbone } from "../../shared/hbone/server.ts";
import {
  defaultHboneSettings,
  type HboneServerSession,
  type HboneSettings,
  type IncomingTunnel,
} from "../../shared/hbone/tunnel.ts";
import { secureServer } from "../../shared/identity/connection-handshake.ts";
import type { SpiffeIdentity } from "../../shared/identity/spiffe.ts";
import type { MeshView } from "../../shared/model/mesh-view.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";
import type { TcpConnection } from "../../shared/os/tcp-connection.ts";
import type { ZtunnelConfig } from "../config.ts";
import { type Party, partyOf, sourceFromBaggage } from "../telemetry/party.ts";
import { type Arrival, admit } from "./admit.ts";
import { formatBaggage, parseBaggage } from "./baggage.ts";
import { forwardedHost, headerValue } from "./connect-headers.ts";
import type { TrackedConnection } from "./connections.ts";
import { recordRefusal } from "./decisions.ts";
import { decideOnDemand } from "./on-demand.ts";
import { decideInbound } from "./route-inbound.ts";
import type { InboundDecision, InboundRefusal } from "./route-inbound-types.ts";
import type { PodScope } from "./scope.ts";

/** One HBONE connection with a proven peer. */
interface Session {
  readonly scope: PodScope;
  readonly peer: SocketAddress;
  readonly arrivedAt: SocketAddress;
  readonly identity: SpiffeIdentity;
}

export function hboneServerSettings(config: ZtunnelConfig): HboneSettings {
  return { ...defaultHboneSettings("server"), ...config.hbone };
}

/** The HBONE connections of one pod, from the first byte of the handshake to the last stream. */
export class InboundSessions {
  readonly #scope: PodScope;
  readonly #sessions = new Set<HboneServerSession>();
  readonly #handshakes = new AbortController();
  /** Connections being served, the handshakes among them, and their ends. */
  readonly #served = new Map<TcpConnection, Promise<void>>();
  #state: "serving" | "draining" | "stopped" = "serving";

  constructor(scope: PodScope) {
    this.#scope = scope;
  }

  /** Serves one accepted connection to its end. Never rejects. */
  handle(connection: TcpConnection): Promise<void> {
    const served = this.#serve(connection).finally(() => this.#served.delete(connection));
    this.#served.set(connection, served);
    return served;
  }

  /** Whether the connection from this address is one of ours. */
  serves(peer: SocketAddress): boolean {
    const { network } = this.#scope;
    for (const connection of this.#served.keys()) {
      const address = network.peerAddress(connection);
      if (address?.port === peer.port && address.ip === peer.ip) return true;
    }
    return false;
  }

  async #serve(connection: TcpConnection): Promise<void> {
    const { network, node } = this.#scope;
    const peer = network.peerAddress(connection);
    const arrivedAt = network.localAddress(connection);
    const open = node.reporter.metrics.socketsOpen("destination");
    open.value++;
    try {
      if (peer === undefined || arrivedAt === undefined) return;
      const session = await this.#establish(connection, peer, arrivedAt);
      await session.closed;
      this.#sessions.delete(session);
    } catch (thrown) {
      const error = asMeshError(thrown, "io-failed", "io error");
      node.reporter.earlyDeny("inbound", peer, arrivedAt, error);
      if (peer !== undefined)
        recordRefusal(this.#scope, {
          direction: "inbound",
          source: peer,
          destination: arrivedAt,
          error,
        });
    } finally {
      connection.close();
      open.value--;
    }
  }

  /**
   * GOAWAY to everybody; open tunnels go on. Resolves when the last connection has ended: until a client has acknowledged,
   * a tunnel that it counts on may still be on its way, also on a connection that looks idle from here.
   */
  async drain(): Promise<void> {
    if (this.#state === "serving") {
      this.#state = "draining";
      for (const session of [...this.#sessions]) session.drain();
    }
    await Promise.all(this.#served.values());
  }

  /** Cuts everything. */
  destroy(error: MeshError): void {
    this.#state = "stopped";
    this.#handshakes.abort(error);
    for (const session of [...this.#sessions]) session.destroy(error);
  }

  async #establish(
    connection: TcpConnection,
    peer: SocketAddress,
    arrivedAt: SocketAddress,
  ): Promise<HboneServerSession> {
    const { node, local: localWorkload } = this.#scope;
    const { signal } = this.#handshakes;
    signal.throwIfAborted();
    const local = localWorkload.current() ?? (await localWorkload.wait(signal));
    const certificate = await node.secrets.fetch(
      localWorkload.identity(local),
      "real-time",
      signal,
    );
    const { channel, peer: identity } = await secureServer({
      connection,
      certificate,
      trustDomain: certificate.identity.trustDomain,
      clock: node.clock,
      signal,
    });
    // Stopped in the very moment in which the handshake ended: nobody would cut this session any more.
    if (signal.aborted) {
      channel.destroy();
      throw signal.reason;
    }
    const session: Session = { scope: this.#scope, peer, arrivedAt, identity };
    const served = serveHbone(channel, hboneServerSettings(node.config), node.clock, (tunnel) => {
      void handleTunnel(session, tunnel);
    });
    this.#sessions.add(served);
    if (this.#state === "draining") served.drain();
    return served;
  }
}

/** Serves one CONNECT to its end. Never rejects. */
async function handleTunnel(session: Session, tunnel: IncomingTunnel): Promise<void> {
  const { scope } = session;
  const tracked = scope.connections.add("inbound");
  try {
    await serveTunnel(session, tunnel, tracked);
  } catch (thrown) {
    const error = asMeshError(thrown, "io-failed", "io error");
    scope.node.reporter.earlyDeny("inbound", session.peer, session.arrivedAt, error);
    tunnel.refuse(503);
  } finally {
    tracked.over();
  }
}

async function serveTunnel(
  session: Session,
  tunnel: IncomingTunnel,
  tracked: TrackedConnection,
): Promise<void> {
  const { scope, peer, arrivedAt, identity } = session;
  const { config, store, demand, illegalPorts } = scope.node;
  const local = scope.local.current();
  const host = forwardedHost(tunnel.headers);
  const context = {
    network: config.network,
    illegalPorts,
    localhostAppTunnel: config.localhostAppTunnel,
  };
  const request = {
    local,
    peer,
    peerIdentity: identity,
    connectionDestination: arrivedAt,
    method: tunnel.method,
    authority: tunnel.authority,
    forwardedHost: host,
  };
  const take = (view: MeshView): InboundDecision => decideInbound(view, context, request);
  const decision =
    demand === undefined ? take(store) : await decideOnDemand(store, demand, tracked.signal, take);
  if (decision.kind === "refuse" || local === undefined) {
    refuse(session, tunnel, decision.kind === "refuse" ? decision : noLocalWorkload);
    return;
  }
  const arrival: Arrival = {
    scope,
    tracked,
    peer,
    arrivedAt,
    local,
    decision,
    source: sourceParty(session, tunnel),
    authority: tunnel.authority,
    forwardedHost: host,
  };
  const admission = await admit(arrival);
  if (admission.kind !== "open") {
    tunnel.refuse(admission.kind === "denied" ? 401 : 503);
    return;
  }
  const stream = tunnel.accept(config.responseBaggage ? [["baggage", formatBaggage(local)]] : []);
  const flow = joinFlow(stream, admission.application);
  tracked.opened(flow);
  admission.report.follow(() => ({ toServer: flow.sent, toClient: flow.received }));
  const { error } = await flow.done;
  admission.report.end(error, tracked.cutBy);
}

const noLocalWorkload: InboundRefusal = {
  kind: "refuse",
  code: "unknown-workload",
  status: 503,
  message: "the pod's own workload is not known",
};

/** Checks 3 to 10: one line in the log, a record of the decision, and the answer. */
function refuse(session: Session, tunnel: IncomingTunnel, refusal: InboundRefusal): void {
  const { scope, peer, arrivedAt, identity } = session;
  scope.node.reporter.earlyDeny("inbound", peer, arrivedAt, refusal);
  const { authority } = tunnel;
  const where = { direction: "inbound", source: peer, destination: arrivedAt } as const;
  recordRefusal(scope, { ...where, authority, peer: identity, error: refusal });
  tunnel.refuse(refusal.status);
}

/** By address where the client is on our network; what it says about itself otherwise. */
function sourceParty(session: Session, tunnel: IncomingTunnel): Party | undefined {
  const { config, store } = session.scope.node;
  const network = headerValue(tunnel.headers, "x-forwarded-network");
  const elsewhere = network !== undefined && network.toLowerCase() !== config.network.toLowerCase();
  const known = elsewhere ? undefined : store.workloadByAddress(config.network, session.peer.ip);
  if (known !== undefined) return partyOf(known);
  return config.responseBaggage ? sourceFromBaggage(parseBaggage(tunnel.headers)) : undefined;
}
