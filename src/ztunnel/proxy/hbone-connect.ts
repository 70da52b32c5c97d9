/**
 * Tunnels towards other proxies: taken from the pod's pool, or a tunnel inside a tunnel for other networks, which is never
 * pooled (wire/ztunnel.md sections 4.4 and 4.6).
 */
import { asMeshError, MeshError } from "../../shared/base/errors.ts";
import { openHboneClient } from "../../shared/hbone/client.ts";
import { tunnelAsDuplex } from "../../shared/hbone/duplex.ts";
import {
  defaultHboneSettings,
  type HboneClientSession,
  type HboneSettings,
  type HeaderField,
  type TunnelAnswer,
  type TunnelRequest,
  type TunnelStream,
} from "../../shared/hbone/tunnel.ts";
import { secureClient } from "../../shared/identity/connection-handshake.ts";
import { handshakeClient } from "../../shared/identity/handshake.ts";
import { formatSpiffe, type SpiffeIdentity } from "../../shared/identity/spiffe.ts";
import { formatSocketAddress, type SocketAddress } from "../../shared/net/authority.ts";
import type { IpAddress } from "../../shared/net/ip.ts";
import type { DialTcpOptions, PodNetwork } from "../../shared/os/network.ts";
import { isDialTimeout } from "../../shared/os/pod-network.ts";
import type { TcpConnection } from "../../shared/os/tcp-connection.ts";
import type { ZtunnelConfig } from "../config.ts";
import type { PodScope } from "./scope.ts";

/** On whose behalf a tunnel is opened. */
export interface TunnelOrigin {
  readonly scope: PodScope;
  readonly sourceIp: IpAddress;
  readonly identity: SpiffeIdentity;
}

/** Where a session leads, and who may be there. */
export interface TunnelPeer {
  readonly destination: SocketAddress;
  readonly acceptedIdentities: readonly string[];
}

export interface OpenTunnel {
  readonly stream: TunnelStream;
  /** Of the answer. */
  readonly headers: readonly HeaderField[];
}

export function hboneClientSettings(config: ZtunnelConfig): HboneSettings {
  return { ...defaultHboneSettings("client"), ...config.hbone, maxStreams: config.poolMaxStreams };
}

/** Rejects with a MeshError that says which step failed. */
export async function openTunnel(
  origin: TunnelOrigin,
  peer: TunnelPeer,
  request: TunnelRequest,
  signal: AbortSignal,
): Promise<OpenTunnel> {
  const key = `${formatSpiffe(origin.identity)} ${origin.sourceIp} ${formatSocketAddress(peer.destination)} ${peer.acceptedIdentities.join(" ")}`;
  const answer = await origin.scope.pool.connect(
    key,
    (sessionSignal) => openSession(origin, peer, sessionSignal),
    request,
    signal,
  );
  return accepted(answer);
}

function accepted(answer: TunnelAnswer): OpenTunnel {
  if (answer.kind === "open") return answer;
  const text = statusText[answer.status];
  throw new MeshError(
    "connect-refused-status",
    `http status: ${answer.status}${text === undefined ? "" : ` ${text}`}`,
  );
}

/** What the reference prints behind the number. */
const statusText: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

async function openSession(
  origin: TunnelOrigin,
  peer: TunnelPeer,
  signal: AbortSignal,
): Promise<HboneClientSession> {
  const { node, network } = origin.scope;
  const certificate = await node.secrets.fetch(origin.identity, "real-time", signal);
  const connection = await connect(network, {
    destination: peer.destination,
    timeoutMs: node.config.connectTimeoutMs,
    signal,
    ...node.sockets,
  });
  const { channel } = await secureClient({
    connection,
    certificate,
    acceptedIdentities: peer.acceptedIdentities,
    clock: node.clock,
    signal,
  });
  return openHboneClient(channel, hboneClientSettings(node.config), node.clock, signal);
}

async function connect(network: PodNetwork, dial: DialTcpOptions): Promise<TcpConnection> {
  try {
    return await network.connectTcp(dial);
  } catch (thrown) {
    throw dialFailure(thrown);
  }
}

function dialFailure(thrown: unknown): MeshError {
  if (!isDialTimeout(thrown)) return asMeshError(thrown, "connect-failed", "connection failed");
  return new MeshError(
    "connect-timeout-hbone",
    `connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008: ${asMeshError(thrown, "connect-failed").message}`,
    { cause: thrown },
  );
}

/** The tunnel in the tunnel. */
export interface InnerTunnel {
  readonly acceptedIdentities: readonly string[];
  readonly request: TunnelRequest;
}

export async function openDoubleTunnel(
  origin: TunnelOrigin,
  gateway: TunnelPeer,
  outer: TunnelRequest,
  inner: InnerTunnel,
  signal: AbortSignal,
): Promise<OpenTunnel & { readonly peer: SpiffeIdentity }> {
  const { node } = origin.scope;
  const { stream } = await openTunnel(origin, gateway, outer, signal);
  const certificate = await node.secrets.fetch(origin.identity, "real-time", signal);
  const { tls, peer } = await handshakeClient({
    socket: tunnelAsDuplex(stream),
    certificate,
    acceptedIdentities: inner.acceptedIdentities,
    clock: node.clock,
    signal,
  });
  const session = await openHboneClient(tls, hboneClientSettings(node.config), node.clock, signal);
  try {
    const answer = accepted(await session.connect(inner.request, signal));
    // The session carries this one tunnel: it ends with it.
    session.drain();
    return { ...answer, peer };
  } catch (thrown) {
    const error = asMeshError(thrown, "h2-failed", "h2 failed");
    session.destroy(error);
    throw error;
  }
}
