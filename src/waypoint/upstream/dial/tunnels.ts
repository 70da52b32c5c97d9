/** HBONE towards pods: one pool of sessions for the whole waypoint, whose identity is its own (wire/waypoint.md section 8.2). */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock } from "../../../shared/base/clock.ts";
import { asMeshError, MeshError } from "../../../shared/base/errors.ts";
import { openHboneClient } from "../../../shared/hbone/client.ts";
import { tunnelAsDuplex } from "../../../shared/hbone/duplex.ts";
import { HbonePool } from "../../../shared/hbone/pool.ts";
import {
  defaultHboneSettings,
  type HboneClientSession,
  type HboneSettings,
  type HeaderField,
  type TunnelAnswer,
  type TunnelStream,
} from "../../../shared/hbone/tunnel.ts";
import { handshakeClient } from "../../../shared/identity/handshake.ts";
import type { PeerVerdict } from "../../../shared/identity/peer.ts";
import { parseSpiffe } from "../../../shared/identity/spiffe.ts";
import { formatSocketAddress, type SocketAddress } from "../../../shared/net/authority.ts";
import type { PeerNameRule } from "../../model/upstream-transport.ts";
import { matchesString } from "../../routing/match.ts";
import type { UpstreamSecrets } from "./secrets.ts";
import { dialTcp, type TcpDeps } from "./tcp.ts";

export interface TunnelSettings {
  readonly connectTimeoutMs: number;
  /** Sessions without a tunnel are closed after this time. */
  readonly idleMs: number;
  readonly streamWindowBytes: number | undefined;
  readonly connectionWindowBytes: number | undefined;
  /** What connect_originate says of its peers' names. Empty: any of the mesh; undefined: those of our own trust domain. */
  readonly acceptedPeers: readonly PeerNameRule[] | undefined;
  /** Our network, for gateways of others. */
  readonly network: string;
}

/** The reference's: mesh connectTimeout and hboneIdleTimeout. */
export const defaultTunnelSettings: TunnelSettings = {
  connectTimeoutMs: 10_000,
  idleMs: 3_600_000,
  streamWindowBytes: undefined,
  connectionWindowBytes: undefined,
  acceptedPeers: undefined,
  network: "",
};

const maxStreamsPerSession = 100;

export interface TunnelDeps extends TcpDeps {
  readonly clock: Clock;
  readonly secrets: UpstreamSecrets;
}

export class Tunnels {
  readonly #deps: TunnelDeps;
  readonly #pool: HbonePool;
  #settings: TunnelSettings;

  constructor(deps: TunnelDeps, settings: TunnelSettings = defaultTunnelSettings) {
    this.#deps = deps;
    this.#settings = settings;
    const idleMs = (): number => this.#settings.idleMs;
    this.#pool = new HbonePool(
      {
        maxStreamsPerSession,
        get idleReleaseMs() {
          return idleMs();
        },
      },
      deps.clock,
    );
  }

  /** For sessions opened from now on. */
  configure(settings: TunnelSettings): void {
    this.#settings = settings;
  }

  get sessions(): number {
    return this.#pool.size;
  }

  /** Rejects with MeshError that says which step failed. */
  async open(
    peer: SocketAddress,
    authority: string,
    headers: readonly HeaderField[],
    signal: AbortSignal,
  ): Promise<TunnelStream> {
    const answer = await this.#pool.connect(
      formatSocketAddress(peer),
      (sessionSignal) => this.#openSession(peer, sessionSignal),
      { authority, headers },
      signal,
    );
    return accepted(answer);
  }

  /** A tunnel in a tunnel, through another network's gateway; never shared (wire/waypoint.md section 8.3). */
  async openDouble(
    gateway: SocketAddress,
    authority: string,
    signal: AbortSignal,
  ): Promise<TunnelStream> {
    const outer = await this.open(gateway, authority, [["x-istio-source", "waypoint"]], signal);
    const inner = tunnelAsDuplex(outer);
    const session = await this.#sessionOver(inner, signal);
    try {
      const headers = [["x-forwarded-network", this.#settings.network]] as const;
      const stream = accepted(await session.connect({ authority, headers }, signal));
      session.drain();
      return stream;
    } catch (thrown) {
      const error = asMeshError(thrown, "h2-failed", "h2 failed");
      session.destroy(error);
      throw error;
    }
  }

  drain(): void {
    this.#pool.drain();
  }

  destroy(error: MeshError): void {
    this.#pool.destroy(error);
  }

  async #openSession(peer: SocketAddress, signal: AbortSignal): Promise<HboneClientSession> {
    const socket = await dialTcp(this.#deps, {
      addresses: [peer],
      timeoutMs: this.#settings.connectTimeoutMs,
      keepAlive: undefined,
      signal,
    });
    return this.#sessionOver(socket, signal);
  }

  async #sessionOver(socket: Socket | Duplex, signal: AbortSignal): Promise<HboneClientSession> {
    const { clock, secrets } = this.#deps;
    const certificate = await secrets.workload(signal).catch((thrown: unknown) => {
      socket.destroy();
      throw thrown;
    });
    const ours = `spiffe://${certificate.identity.trustDomain}/`;
    const rules = this.#settings.acceptedPeers;
    const { tls } = await handshakeClient({
      socket,
      certificate,
      acceptedIdentities: [],
      judgePeer: (names) =>
        judgeMeshPeer(names, (name) =>
          rules === undefined ? name.startsWith(ours) : isAccepted(rules, name),
        ),
      clock,
      signal,
    });
    return openHboneClient(tls, this.#hbone(), clock, signal);
  }

  #hbone(): HboneSettings {
    const defaults = defaultHboneSettings("client");
    const { streamWindowBytes, connectionWindowBytes } = this.#settings;
    return {
      ...defaults,
      streamWindowBytes: streamWindowBytes ?? defaults.streamWindowBytes,
      connectionWindowBytes: connectionWindowBytes ?? defaults.connectionWindowBytes,
    };
  }
}

function isAccepted(rules: readonly PeerNameRule[], name: string): boolean {
  if (rules.length === 0) return true;
  return rules.some(
    ({ type, matcher }) => (type === "uri" || type === "any") && matchesString(matcher, name),
  );
}

/** The reference does not know which workload should answer: any of the mesh's trust domains will do (section 4.3). */
function judgeMeshPeer(
  names: readonly string[],
  isWelcome: (name: string) => boolean,
): PeerVerdict {
  for (const name of names) {
    const peer = parseSpiffe(name);
    if (peer !== undefined && isWelcome(name)) return { kind: "accepted", peer };
  }
  return {
    kind: "refused",
    reason: `peer is of another trust domain, its names: ${names.join(", ") || "none"}`,
  };
}

function accepted(answer: TunnelAnswer): TunnelStream {
  if (answer.kind === "open") return answer.stream;
  throw new MeshError("connect-refused-status", `tunnel was answered with status ${answer.status}`);
}
