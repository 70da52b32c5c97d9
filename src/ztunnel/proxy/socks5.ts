/**
 * SOCKS5 for applications that ask for it (UNSTABLE_ENABLE_SOCKS5, wire/ztunnel.md section 8): a listener on the pod's
 * loopback, names through the pod's DNS proxy, then the same outbound path as captured connections. Unlike the reference's,
 * the answer tells the truth: it is sent when the far end has taken the connection, or with the reason why it did not.
 */
import type { Socket } from "node:net";
import { asMeshError, describeError, MeshError } from "../../shared/base/errors.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";
import { type IpAddress, ipOf } from "../../shared/net/ip.ts";
import type { TrackedConnection } from "./connections.ts";
import { carryOutbound } from "./outbound.ts";
import type { Companion } from "./pod-proxy.ts";
import type { PodScope } from "./scope.ts";
import { SocksRefusal, shakeHands } from "./socks5-handshake.ts";
import {
  replyBytes,
  type SocksReplyCode,
  type SocksTarget,
  socksReply,
} from "./socks5-protocol.ts";

/** Addresses of a name for this pod, the best first; empty when there are none. */
export type ResolveForPod = (name: string, signal: AbortSignal) => Promise<readonly IpAddress[]>;

/** Addresses of one name that are tried. */
const MAX_TRIES = 4;
/** How long a refused client may take to read why. */
const LINGER_MS = 1000;

/** Resolves when the listener accepts. */
export async function startSocks5(scope: PodScope, resolve: ResolveForPod): Promise<Companion> {
  const { config, logger, sockets } = scope.node;
  const listener = await scope.network.listenTcp(
    {
      ip: ipOf("127.0.0.1"),
      port: config.socks5Port,
      reusePort: config.inpodPortReuse,
      transparent: "never",
      onAcceptError: (error) =>
        logger.warn("cannot accept a connection", { error: describeError(error) }),
      ...sockets,
    },
    (socket) => {
      void handleSocks5(scope, resolve, socket);
    },
  );
  return {
    // The connections are the pod proxy's own and end with it.
    drain: () => listener.close(),
    stop: () => {
      void listener.close();
    },
  };
}

function ignoreError(): void {
  // 'close' follows.
}

/** Serves one accepted socket to its end. Never rejects; afterwards nothing of the connection is left. */
export async function handleSocks5(
  scope: PodScope,
  resolve: ResolveForPod,
  socket: Socket,
): Promise<void> {
  const { reporter, clock } = scope.node;
  const client = scope.network.peerAddress(socket);
  const open = reporter.metrics.socketsOpen("source");
  open.value++;
  const tracked = scope.connections.add("outbound");
  socket.on("error", ignoreError);
  try {
    if (client === undefined) return;
    const { target } = await shakeHands(socket, clock, tracked.signal);
    const error = await connectTo(scope, resolve, { socket, tracked, client }, target);
    if (error !== undefined) await endWith(scope, socket, replyBytes(replyFor(error)));
  } catch (thrown) {
    const error = asMeshError(thrown, "io-failed", "io error");
    reporter.earlyDeny("outbound", client, undefined, error);
    if (thrown instanceof SocksRefusal) await endWith(scope, socket, thrown.answer);
  } finally {
    socket.destroy();
    tracked.over();
    open.value--;
  }
}

interface Caller {
  readonly socket: Socket;
  readonly tracked: TrackedConnection;
  readonly client: SocketAddress;
}

/** One address after the other until one takes the connection; gives the last error if none did. */
async function connectTo(
  scope: PodScope,
  resolve: ResolveForPod,
  caller: Caller,
  target: SocksTarget,
): Promise<MeshError | undefined> {
  const { socket, tracked, client } = caller;
  const destinations = await destinationsOf(resolve, target, tracked.signal);
  let last: MeshError | undefined;
  for (const destination of destinations.slice(0, MAX_TRIES)) {
    last = await carryOutbound(scope, {
      ...caller,
      destination,
      onOpen: () => socket.write(replyBytes(socksReply.succeeded)),
    });
    if (last === undefined || last.retry !== "yes" || socket.destroyed) return last;
    if (tracked.signal.aborted) return last;
  }
  if (last !== undefined) return last;
  const name = target.kind === "name" ? target.name : "";
  const error = new MeshError("unknown-destination", `socks5: no address for ${name}`);
  scope.node.reporter.earlyDeny("outbound", client, undefined, error);
  return error;
}

async function destinationsOf(
  resolve: ResolveForPod,
  target: SocksTarget,
  signal: AbortSignal,
): Promise<readonly SocketAddress[]> {
  if (target.kind === "address") return [target.address];
  const { name, port } = target;
  return (await resolve(name, signal)).map((ip) => ({ ip, port }));
}

/** Lets the client read its answer before the socket goes, but not for ever. */
async function endWith(scope: PodScope, socket: Socket, answer: Uint8Array): Promise<void> {
  if (socket.destroyed) return;
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => resolve());
    const deadline = scope.node.clock.after(LINGER_MS, resolve);
    socket.once("close", () => deadline.cancel());
  });
  socket.end(answer);
  // What it still sends is read and dropped: closing with unread data would reset the answer away.
  socket.resume();
  await closed;
}

function systemCodeOf(error: unknown): string | undefined {
  let current: unknown = error;
  for (let depth = 0; current instanceof Error && depth < 5; depth++) {
    if ("code" in current && typeof current.code === "string" && !(current instanceof MeshError))
      return current.code;
    current = current.cause;
  }
  return undefined;
}

/** What a SOCKS client is told about a failure (RFC 1928 section 6). */
export function replyFor(error: MeshError): SocksReplyCode {
  switch (error.code) {
    case "policy-denied":
    case "self-call":
      return socksReply.notAllowed;
    case "connect-refused-status":
      // The far end's policy says 401; anything else is its trouble with its application.
      return error.message.startsWith("http status: 401")
        ? socksReply.notAllowed
        : socksReply.hostUnreachable;
    case "no-route":
      return socksReply.networkUnreachable;
    case "no-healthy-upstream":
    case "unknown-waypoint":
    case "unknown-network-gateway":
    case "unknown-destination":
    case "connect-timeout-hbone":
      return socksReply.hostUnreachable;
    case "connect-failed":
      return replyForSystem(systemCodeOf(error));
    default:
      return socksReply.generalFailure;
  }
}

function replyForSystem(code: string | undefined): SocksReplyCode {
  switch (code) {
    case "ECONNREFUSED":
      return socksReply.connectionRefused;
    case "ENETUNREACH":
      return socksReply.networkUnreachable;
    default:
      return socksReply.hostUnreachable;
  }
}
