/**
 * The ztunnel's end of ZDS: stays connected to the node agent, reads one request at a time and answers it. Proxies
 * outlive the connection; only a broken protocol ends the process.
 */
import { type BackoffOptions, jitteredMs, nextBackoffMs } from "../../shared/base/backoff.ts";
import type { Clock } from "../../shared/base/clock.ts";
import { describeError } from "../../shared/base/errors.ts";
import { closeDescriptor } from "../../shared/os/libc.ts";
import type { Packet } from "../../shared/os/message.ts";
import { NetworkNamespace } from "../../shared/os/network-namespace.ts";
import { SeqpacketSocket } from "../../shared/os/seqpacket.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import {
  encodeAnswer,
  encodeHello,
  readRequest,
  ZDS_MESSAGE_MAX_BYTES,
  type ZdsRequest,
} from "../../shared/zds/messages.ts";
import type { ManagerInput } from "./manager-state.ts";
import type { WorkloadManager } from "./workload-manager.ts";

export interface ZdsClientDeps {
  readonly manager: WorkloadManager;
  readonly clock: Clock;
  readonly log: Logger;
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
}

/** The node agent sent what it must not send: this process cannot know which pods are its own any more and must end. */
export class ZdsProtocolError extends Error {
  override readonly name = "ZdsProtocolError";
}

const CONNECT_BACKOFF: BackoffOptions = { initialMs: 20, maxMs: 15_000 };
const HELLO_BACKOFF: BackoffOptions = { initialMs: 5, maxMs: 15_000, jitter: 0.2 };
const RETRY_PENDING_MS = 5000;

/** How one connection ended: whether it got as far as a request decides how soon the next one is tried. */
type ConnectionEnd = "served" | "refused";

/** Runs until the signal aborts, then resolves. Rejects with ZdsProtocolError only. */
export async function runZdsClient(
  deps: ZdsClientDeps,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  const retry = deps.clock.every(RETRY_PENDING_MS, () => void deps.manager.retryPending());
  try {
    await stayConnected(deps, path, signal);
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  } finally {
    retry.cancel();
  }
}

async function stayConnected(
  deps: ZdsClientDeps,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  let helloDelayMs: number | undefined;
  while (!signal.aborted) {
    const socket = await connect(deps, path, signal);
    const end = await serve(deps, socket, signal);
    await deps.manager.handle({ kind: "disconnected" });
    if (end === "served") {
      helloDelayMs = undefined;
      continue;
    }
    // Refused before the first request: without a pause the two would spin.
    helloDelayMs = nextBackoffMs(HELLO_BACKOFF, helloDelayMs);
    await deps.clock.sleep(jitteredMs(HELLO_BACKOFF, helloDelayMs, deps.random), signal);
  }
}

async function connect(
  deps: ZdsClientDeps,
  path: string,
  signal: AbortSignal,
): Promise<SeqpacketSocket> {
  let delayMs: number | undefined;
  for (;;) {
    signal.throwIfAborted();
    try {
      return SeqpacketSocket.connect(path);
    } catch (thrown) {
      delayMs = nextBackoffMs(CONNECT_BACKOFF, delayMs);
      // The first failures are ordinary at start; a lasting one is worth a line.
      const level = delayMs >= 1000 ? "warn" : "debug";
      deps.log.log(level, "node agent not reachable", { error: describeError(thrown) });
    }
    await deps.clock.sleep(delayMs, signal);
  }
}

async function serve(
  deps: ZdsClientDeps,
  socket: SeqpacketSocket,
  signal: AbortSignal,
): Promise<ConnectionEnd> {
  const onAbort = (): void => socket.close();
  signal.addEventListener("abort", onAbort, { once: true });
  let end: ConnectionEnd = "refused";
  try {
    await socket.send(encodeHello());
    await deps.manager.handle({ kind: "connected" });
    deps.log.info("connected to the node agent");
    for (;;) {
      const packet = await socket.receive(ZDS_MESSAGE_MAX_BYTES);
      if (packet === "end") break;
      end = "served";
      if (!(await answer(deps, socket, packet))) break;
    }
    deps.log.info("connection to the node agent ended");
  } catch (thrown) {
    if (thrown instanceof ZdsProtocolError) throw thrown;
    if (!signal.aborted)
      deps.log.warn("connection to the node agent broke", { error: describeError(thrown) });
  } finally {
    signal.removeEventListener("abort", onAbort);
    socket.close();
  }
  return end;
}

/** False when the connection cannot go on. */
async function answer(
  deps: ZdsClientDeps,
  socket: SeqpacketSocket,
  packet: Packet,
): Promise<boolean> {
  const { bytes, fds, truncated } = packet;
  const reading = readRequest({ bytes, truncated, fdCount: fds.length });
  if (reading.kind === "error") {
    for (const fd of fds) closeDescriptor(fd);
    const error = `failure to read message : ${reading.reason}`;
    deps.log.warn("unreadable message from the node agent", { error: reading.reason });
    await socket.send(encodeAnswer({ error }));
    return false;
  }
  const input = inputOf(reading.message, fds);
  if (typeof input === "string") {
    await socket.send(encodeAnswer({ error: `failure to start proxy : ${input}` }));
    return true;
  }
  const outcome = await deps.manager.handle(input);
  if (outcome.kind === "fail") {
    const error = `failure to process message : ${outcome.reason}`;
    deps.log.error("protocol error of the node agent", { error: outcome.reason });
    await socket.send(encodeAnswer({ error })).catch((thrown: unknown) => {
      // Only a courtesy: the process ends either way.
      deps.log.debug("answer not sent", { error: describeError(thrown) });
    });
    throw new ZdsProtocolError(error);
  }
  await socket.send(encodeAnswer({ error: outcome.kind === "answer" ? outcome.error : undefined }));
  return true;
}

/** A text is the reason why the descriptor is no namespace; the connection goes on. */
function inputOf(request: ZdsRequest, fds: readonly number[]): ManagerInput | string {
  if (request.kind !== "add") return request;
  const [fd] = fds;
  if (fd === undefined) throw new Error("add without a descriptor passed the reader");
  const { uid, info } = request;
  if (info === undefined) {
    closeDescriptor(fd);
    return { kind: "add-without-info" };
  }
  try {
    const namespace = NetworkNamespace.adopt(fd, `of pod ${info.namespace}/${info.name}`);
    return { kind: "add", pod: { uid, info, namespace } };
  } catch (thrown) {
    return describeError(thrown);
  }
}
