/**
 * The proxy of one pod: its listeners in the pod's network namespace, and the owner of everything that they let in. When it
 * has stopped, nothing of the pod is left: no listener, session, timer or descriptor.
 */
import { describeError, MeshError } from "../../shared/base/errors.ts";
import { HbonePool } from "../../shared/hbone/pool.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";
import { ipOf } from "../../shared/net/ip.ts";
import type { PodNetwork, TcpListener } from "../../shared/os/network.ts";
import type { TcpConnection } from "../../shared/os/tcp-connection.ts";
import type { PodInfo, PodProxy } from "../inpod/pod-proxy.ts";
import { ConnectionRegistry } from "./connections.ts";
import { InboundSessions } from "./inbound.ts";
import { LocalWorkload } from "./local-workload.ts";
import { handleOutbound } from "./outbound.ts";
import { handlePassthrough } from "./passthrough.ts";
import { watchPolicies } from "./policy-watch.ts";
import type { NodeScope, PodScope } from "./scope.ts";
import { type OwnSessions, untilTakenOver } from "./takeover.ts";

/** Which of the three listeners to open: all, only HBONE (our own pod), or none (ENABLE_PROXY is off, DNS is on). */
export type ProxyKind = "pod" | "self-inbound" | "dns-only";

/** Something beside the listeners that lives as long as the proxy does: the DNS server, the proxies of other threads. */
export interface Companion {
  drain(deadlineMs: number): Promise<void>;
  stop(): void;
  /** The same pod's listeners on other threads of this process. */
  readonly siblings?: Siblings | undefined;
}

export interface Siblings {
  readonly count: number;
  /** Whether one of them serves the HBONE connection from this address. */
  serves(peer: SocketAddress): Promise<boolean>;
}

export interface RunningPodProxy extends PodProxy {
  readonly info: PodInfo;
  readonly connections: ConnectionRegistry;
  /** Whether the HBONE connection from this address is served here. */
  serves(peer: SocketAddress): boolean;
  /** Serves an HBONE connection that another thread has accepted. */
  takeSession(connection: TcpConnection): void;
  /** The same for a connection of the pod's application. */
  takeCaptured(connection: TcpConnection): void;
}

type State = "serving" | "draining" | "stopped";

/** Of the time to drain: how much a successor may use to prove itself. The rest is for what is still open. */
const TAKEOVER_SHARE = 0.5;

function drained(): MeshError {
  return new MeshError("drained", "connection closed due to connection drain");
}

export interface PodProxyOptions {
  readonly kind: ProxyKind;
  /** Started after the listeners, before the first connection is served. */
  readonly companion?: (scope: PodScope) => Promise<Companion>;
  /** Default true: a drain waits until a successor, if there is one, has proven itself. False where somebody else did. */
  readonly provesSuccessor?: boolean;
  /** Where there are several threads: which of them serves a connection. */
  readonly placements?: Placements | undefined;
}

export interface Placements {
  /** Of HBONE connections. */
  readonly sessions: Placement;
  /** Of connections that the pod's application opens. */
  readonly captured: Placement;
}

export interface Placement {
  /** True when another thread serves the connection; nothing of it is left here then. Otherwise it counts here. */
  handOver(connection: TcpConnection): boolean;
  /** A connection that another thread has handed over is here. */
  arrived(): void;
  /** A connection that was served here has ended. */
  ended(): void;
  /** From now on each connection stays where it is; resolves when none is on its way here any more. */
  settle(): Promise<void>;
}

/** Resolves when all listeners accept; rejects, with nothing left behind, when one cannot. */
export async function startPodProxy(
  node: NodeScope,
  info: PodInfo,
  network: PodNetwork,
  options: PodProxyOptions,
): Promise<RunningPodProxy> {
  const { config, clock } = node;
  const pool = new HbonePool(
    { maxStreamsPerSession: config.poolMaxStreams, idleReleaseMs: config.poolUnusedReleaseMs },
    clock,
  );
  // Whether client addresses can be kept is only known once the listeners are there.
  const scope = {
    node,
    info,
    network,
    pool,
    connections: new ConnectionRegistry(),
    local: new LocalWorkload(node.store, info, clock),
    preserveSource: false,
  };
  // Nobody else would ask for our own record.
  void node
    .demand?.(
      `${config.clusterId}//Pod/${info.namespace}/${info.name}`,
      new AbortController().signal,
    )
    .catch(() => undefined);
  const sessions = new InboundSessions(scope);
  const listeners: TcpListener[] = [];
  try {
    await listen(scope, sessions, options, listeners);
    const transparent = listeners.every((listener) => listener.transparent);
    scope.preserveSource = transparent && options.kind === "pod";
    const companion = await options.companion?.(scope);
    return running(scope, sessions, listeners, companion, options);
  } catch (thrown) {
    // Some listeners were open for a moment: what came in goes with them.
    running(scope, sessions, listeners, undefined).stop();
    throw thrown;
  }
}

function running(
  scope: PodScope,
  sessions: InboundSessions,
  listeners: readonly TcpListener[],
  companion: Companion | undefined,
  { provesSuccessor = true, placements }: Partial<PodProxyOptions> = {},
): RunningPodProxy {
  const unwatch = watchPolicies(scope);
  const { clock } = scope.node;
  let state: State = "serving";
  const closeListeners = (): void => {
    for (const listener of listeners) void listener.close();
  };
  const stop = (): void => {
    if (state === "stopped") return;
    state = "stopped";
    const error = drained();
    closeListeners();
    companion?.stop();
    scope.connections.close(error);
    sessions.destroy(error);
    scope.pool.destroy(error);
    unwatch();
  };
  const finish = async (deadlineMs: number): Promise<void> => {
    if (listeners.length > 0 && provesSuccessor)
      await untilTakenOver(scope, ownSessions(sessions, companion), deadlineMs * TAKEOVER_SHARE);
    if (state === "stopped") return;
    closeListeners();
    await Promise.all([placements?.sessions.settle(), placements?.captured.settle()]);
    const sessionsDone = sessions.drain();
    await Promise.all([scope.connections.whenEmpty(), sessionsDone, companion?.drain(deadlineMs)]);
  };
  const drain = async (deadlineMs: number): Promise<void> => {
    if (state !== "serving") return;
    state = "draining";
    const over = new AbortController();
    await Promise.race([
      finish(deadlineMs),
      clock.sleep(deadlineMs, over.signal).catch(() => undefined),
    ]);
    over.abort();
    stop();
  };
  return {
    info: scope.info,
    connections: scope.connections,
    serves: (peer) => sessions.serves(peer),
    takeSession: (connection) => {
      placements?.sessions.arrived();
      void sessions.handle(connection).finally(() => placements?.sessions.ended());
    },
    takeCaptured: (connection) => {
      placements?.captured.arrived();
      void handleOutbound(scope, connection).finally(() => placements?.captured.ended());
    },
    drain,
    stop,
  };
}

/** Serves an accepted connection, or sees to it that another thread does. */
function placed(
  placement: Placement | undefined,
  serve: (connection: TcpConnection) => Promise<void>,
): (connection: TcpConnection) => void {
  if (placement === undefined) return (connection) => void serve(connection);
  return (connection) => {
    if (!placement.handOver(connection)) void serve(connection).finally(() => placement.ended());
  };
}

function ownSessions(sessions: InboundSessions, companion: Companion | undefined): OwnSessions {
  const siblings = companion?.siblings;
  if (siblings === undefined) return sessions;
  return {
    listeners: 1 + siblings.count,
    serves: (peer) => sessions.serves(peer) || siblings.serves(peer),
  };
}

/** Opens the listeners of this kind one after the other into `listeners`. */
async function listen(
  scope: PodScope,
  sessions: InboundSessions,
  { kind, placements }: PodProxyOptions,
  listeners: TcpListener[],
): Promise<void> {
  const { config, logger, sockets } = scope.node;
  const common = {
    ip: ipOf(config.ipv6Enabled ? "::" : "0.0.0.0"),
    reusePort: config.inpodPortReuse,
    transparent: kind === "pod" ? config.originalSource : "never",
    onAcceptError: (error: MeshError) =>
      logger.warn("cannot accept a connection", { error: describeError(error) }),
    ...sockets,
  } as const;
  // HBONE connections have their own liveness check, the PING.
  const { keepAlive: _unused, ...withoutKeepalive } = common;
  const { network } = scope;
  if (kind === "dns-only") return;
  const hbone = { ...withoutKeepalive, port: config.inboundPort };
  const serve = placed(placements?.sessions, (connection) => sessions.handle(connection));
  listeners.push(await network.acceptTcp(hbone, serve));
  if (kind !== "pod") return;
  const plain = { ...common, port: config.inboundPlaintextPort };
  const captured = { ...common, port: config.outboundPort };
  listeners.push(
    await network.acceptTcp(plain, (connection) => void handlePassthrough(scope, connection)),
  );
  const carry = placed(placements?.captured, (connection) => handleOutbound(scope, connection));
  listeners.push(await network.acceptTcp(captured, carry));
}
