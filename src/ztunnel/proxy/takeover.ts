/**
 * The end of an upgrade, seen by the proxy that goes: while another process listens on the pod's ports beside us, we go on
 * accepting until a connection has made a round trip through that process: accepted, mutual TLS with the pod's own
 * certificate on both sides, HTTP/2 SETTINGS. So a successor that is ready by its own account but cannot serve (no
 * certificate, a blocked event loop, a wrong trust domain) costs nobody a connection.
 */
import { describeError, MeshError } from "../../shared/base/errors.ts";
import { openHboneClient } from "../../shared/hbone/client.ts";
import { secureClient } from "../../shared/identity/connection-handshake.ts";
import { formatSpiffe } from "../../shared/identity/spiffe.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";
import { ipOf } from "../../shared/net/ip.ts";
import { hboneClientSettings } from "./hbone-connect.ts";
import type { PodScope } from "./scope.ts";

/** Which connections a process has accepted itself, on whatever thread. */
export interface OwnSessions {
  /** Its threads that listen in the pod; 1 unless it says otherwise. */
  readonly listeners?: number;
  serves(peer: SocketAddress): boolean | Promise<boolean>;
}

type TakeoverScope = Pick<PodScope, "node" | "info" | "network" | "local">;

/** "alone": nobody listens beside us, so there is nothing to wait for. */
export type Takeover = "alone" | "proven" | "unproven";

const LOOPBACK = ipOf("127.0.0.1");
/** One round trip on the node itself takes milliseconds. */
const ATTEMPT_LIMIT_MS = 1_000;
const PAUSE_AFTER_FAILURE_MS = 100;
/** The next connection has another source port, and so an even chance to reach the other process. */
const PAUSE_AFTER_OURSELVES_MS = 10;

/** Resolves when the listeners may be closed, after `limitMs` at the latest. Never rejects. */
export async function untilTakenOver(
  scope: TakeoverScope,
  own: OwnSessions,
  limitMs: number,
): Promise<Takeover> {
  const { clock, logger } = scope.node;
  if (!hasCompany(scope, own.listeners ?? 1)) return "alone";
  const over = new AbortController();
  const limit = clock.after(limitMs, () => over.abort(new MeshError("drained", "time is over")));
  const pod = `${scope.info.namespace}/${scope.info.name}`;
  let lastFailure = "connections only reach ourselves";
  while (!over.signal.aborted) {
    let pauseMs = PAUSE_AFTER_OURSELVES_MS;
    try {
      if (await roundTrip(scope, own, over.signal)) {
        limit.cancel();
        logger.debug("successor has proven a round trip", { pod });
        return "proven";
      }
    } catch (thrown) {
      if (over.signal.aborted) break;
      lastFailure = describeError(thrown);
      pauseMs = PAUSE_AFTER_FAILURE_MS;
    }
    await clock.sleep(pauseMs, over.signal).catch(() => undefined);
  }
  logger.warn("successor has not proven a round trip", { pod, error: lastFailure });
  return "unproven";
}

/** Whether another process listens where we do. */
function hasCompany(scope: TakeoverScope, ownListeners: number): boolean {
  const { config, logger } = scope.node;
  if (!config.inpodPortReuse) return false;
  try {
    return scope.network.listenersOn(config.inboundPort) > ownListeners;
  } catch (thrown) {
    logger.debug("cannot look for a successor", { error: describeError(thrown) });
    return false;
  }
}

/** True when the connection went through another process; the kernel chooses by the source port, so it may be us. */
async function roundTrip(
  scope: TakeoverScope,
  own: OwnSessions,
  over: AbortSignal,
): Promise<boolean> {
  const { node, network, local } = scope;
  const { clock, config, secrets } = node;
  const attempt = new AbortController();
  const limit = clock.after(ATTEMPT_LIMIT_MS, () =>
    attempt.abort(new MeshError("h2-handshake-failed", "no answer in time")),
  );
  const signal = AbortSignal.any([over, attempt.signal]);
  try {
    const identity = local.identity(local.current() ?? (await local.wait(signal)));
    const certificate = await secrets.fetch(identity, "real-time", signal);
    const destination = { ip: LOOPBACK, port: config.inboundPort };
    const dial = { destination, timeoutMs: ATTEMPT_LIMIT_MS, signal, ...node.sockets };
    const connection = await network.connectTcp(dial);
    const from = network.localAddress(connection);
    const acceptedIdentities = [formatSpiffe(identity)];
    const { channel } = await secureClient({
      connection,
      certificate,
      acceptedIdentities,
      clock,
      signal,
    });
    const session = await openHboneClient(channel, hboneClientSettings(config), clock, signal);
    const other = from !== undefined && !(await own.serves(from));
    session.drain();
    return other;
  } finally {
    limit.cancel();
  }
}
