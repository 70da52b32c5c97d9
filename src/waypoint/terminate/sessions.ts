/** HBONE connections of clients: mutual TLS, then any number of CONNECT streams (wire/waypoint.md sections 3.2 and 8.1). */
import type { Clock } from "../../shared/base/clock.ts";
import { asMeshError, describeError, type MeshError } from "../../shared/base/errors.ts";
import { serveHbone } from "../../shared/hbone/server.ts";
import {
  defaultHboneSettings,
  type HboneServerSession,
  type HboneSettings,
  type IncomingTunnel,
} from "../../shared/hbone/tunnel.ts";
import { secureServer } from "../../shared/identity/connection-handshake.ts";
import type { SecretSource } from "../../shared/identity/secret-source.ts";
import type { SpiffeIdentity } from "../../shared/identity/spiffe.ts";
import type { PodNetwork } from "../../shared/os/network.ts";
import type { TcpConnection } from "../../shared/os/tcp-connection.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import { openingOf } from "../http/transport.ts";
import type { Connections } from "./connections.ts";
import { downstreamOf, type SessionFacts } from "./downstream.ts";
import type { TerminatePlan } from "./plan.ts";

export interface SessionsDeps {
  readonly identity: SpiffeIdentity;
  readonly secrets: SecretSource;
  readonly network: Pick<PodNetwork, "peerAddress">;
  readonly connections: Connections;
  readonly windows: Pick<HboneSettings, "streamWindowBytes" | "connectionWindowBytes">;
  /** Of the configuration in force. */
  readonly plan: () => TerminatePlan | undefined;
  /** In on-demand mode: asks who the client is; undefined: there is nothing to wait for. */
  readonly learnPeer: (ip: string) => Promise<void> | undefined;
  readonly log: Logger;
  readonly clock: Clock;
  /** The end of a CONNECT that led nowhere: for the access log of the tunnels themselves. */
  readonly refused: (facts: SessionFacts, tunnel: IncomingTunnel, status: number) => void;
}

export class Sessions {
  readonly #deps: SessionsDeps;
  readonly #sessions = new Set<HboneServerSession>();
  readonly #served = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  #draining = false;
  #connectionIds = 0;

  constructor(deps: SessionsDeps) {
    this.#deps = deps;
  }

  get openSessions(): number {
    return this.#sessions.size;
  }

  /** Serves one accepted connection to its end. Never rejects. */
  handle(connection: TcpConnection): void {
    const served = this.#serve(connection).finally(() => this.#served.delete(served));
    this.#served.add(served);
  }

  /** GOAWAY to everybody who is connected now; who connects later is served. */
  announce(): void {
    for (const session of [...this.#sessions]) session.drain();
  }

  /** GOAWAY to everybody, from now on to newcomers too. Resolves when the last has gone. */
  async drain(): Promise<void> {
    this.#draining = true;
    this.announce();
    while (this.#served.size > 0) await Promise.all(this.#served);
  }

  destroy(error: MeshError): void {
    this.#stop.abort(error);
    for (const session of [...this.#sessions]) session.destroy(error);
  }

  async #serve(connection: TcpConnection): Promise<void> {
    const { network, log } = this.#deps;
    const source = network.peerAddress(connection);
    try {
      if (source === undefined) return;
      const session = await this.#establish(connection, source);
      await session.closed;
      this.#sessions.delete(session);
    } catch (thrown) {
      if (this.#stop.signal.aborted) return;
      log.warn("connection refused", {
        source: source === undefined ? undefined : `${source.ip}:${source.port}`,
        error: describeError(asMeshError(thrown, "io-failed", "io error")),
      });
    } finally {
      connection.close();
    }
  }

  async #establish(
    connection: TcpConnection,
    source: SessionFacts["source"],
  ): Promise<HboneServerSession> {
    const { identity, secrets, clock } = this.#deps;
    const { signal } = this.#stop;
    signal.throwIfAborted();
    const certificate = await secrets.fetch(identity, "real-time", signal);
    const plan = this.#deps.plan();
    const { channel, peer } = await secureServer({
      connection,
      certificate,
      trustDomain: identity.trustDomain,
      alsoTrusted: plan?.trustDomains,
      clock,
      signal,
    });
    if (signal.aborted) {
      channel.destroy();
      throw signal.reason;
    }
    const facts: SessionFacts = { peer, local: certificate.identity, source };
    const session = serveHbone(channel, this.#settings(plan), clock, (tunnel) => {
      void this.#tunnel(facts, tunnel);
    });
    this.#sessions.add(session);
    if (this.#draining) session.drain();
    return session;
  }

  #settings(plan: TerminatePlan | undefined): HboneSettings {
    const settings = { ...defaultHboneSettings("server"), ...this.#deps.windows };
    if (plan === undefined) return settings;
    const { maxStreams, pingIntervalMs, pingTimeoutMs } = plan;
    return { ...settings, maxStreams, pingIntervalMs, pingTimeoutMs };
  }

  async #tunnel(facts: SessionFacts, tunnel: IncomingTunnel): Promise<void> {
    const { connections, clock, learnPeer, refused, log } = this.#deps;
    // The one route of connect_terminate matches CONNECT and nothing else.
    if (tunnel.method !== "CONNECT") {
      refused(facts, tunnel, 404);
      tunnel.refuse(404);
      return;
    }
    try {
      await learnPeer(facts.source.ip);
      const info = downstreamOf(facts, tunnel, ++this.#connectionIds, clock.wallMs());
      await connections.serve(openingOf(tunnel.accept([])), info);
    } catch (thrown) {
      // Connections never reject; what comes here is a defect, and must not cut the other tunnels.
      log.error("tunnel failed", { error: describeError(thrown), authority: tunnel.authority });
    }
  }
}
