/**
 * Accepted connections on their way to the thread that serves them. Nothing has been read from them, so a descriptor is all
 * there is to them.
 */
import type { Socket } from "node:net";
import type { Clock } from "../../shared/base/clock.ts";
import { adoptTcpSocket } from "../../shared/os/adopt-socket.ts";
import { descriptorOf } from "../../shared/os/descriptor.ts";
import { closeDescriptor, duplicate } from "../../shared/os/libc.ts";
import { TcpConnection } from "../../shared/os/tcp-connection.ts";
import type { Placement, Placements, RunningPodProxy } from "../proxy/pod-proxy.ts";
import type { Accepted } from "./messages.ts";
import { type BoardMemory, forgetOne, SessionBoard } from "./session-board.ts";

/** A message between threads takes a fraction of this. */
const LOOK_AGAIN_MS = 1;
const SETTLE_LIMIT_MS = 1_000;

export interface Boards {
  readonly placements: Placements;
  /** All threads have the pod: connections may go from one to another. */
  open(): void;
}

/** A pod's boards as the thread `own` sees them; `send` passes a connection on to another thread. */
export function openBoards(
  memory: BoardMemory,
  own: number,
  clock: Clock,
  send: (thread: number, accepted: Accepted) => void,
): Boards {
  const sessions = new SessionBoard(memory, own, "session");
  const captured = new SessionBoard(memory, own, "captured");
  return {
    placements: {
      sessions: placementBy<Socket>(sessions, clock, (socket, thread) => {
        const fd = descriptorOfOwn(socket);
        if (fd === undefined) return false;
        socket.destroy();
        send(thread, { kind: "session", fd });
        return true;
      }),
      captured: placementBy<TcpConnection>(captured, clock, ({ fd, peer }, thread) => {
        send(thread, { kind: "captured", fd, peer });
        return true;
      }),
    },
    open: () => {
      sessions.open();
      captured.open();
    },
  };
}

function placementBy<T>(
  board: SessionBoard,
  clock: Clock,
  pass: (connection: T, thread: number) => boolean,
): Placement<T> {
  return {
    handOver: (connection) => {
      const thread = board.place();
      if (thread === undefined) return false;
      if (pass(connection, thread)) return true;
      board.keep(thread);
      return false;
    },
    arrived: () => board.arrived(),
    ended: () => board.ended(),
    settle: async () => {
      board.close();
      const untilMs = clock.monotonicMs() + SETTLE_LIMIT_MS;
      while (board.onTheWayHere > 0 && clock.monotonicMs() < untilMs)
        await clock.sleep(LOOK_AGAIN_MS);
    },
  };
}

/** A second descriptor of the connection; undefined when there can be none (they are used up, or the client is gone). */
function descriptorOfOwn(socket: Socket): number | undefined {
  try {
    const fd = descriptorOf(socket);
    return fd === undefined ? undefined : duplicate(fd);
  } catch {
    return undefined;
  }
}

/** Serves a connection that was handed over to this thread. Without a proxy (the pod has just left) it ends. */
export function takeOver(
  proxy: Pick<RunningPodProxy, "takeSession" | "takeCaptured"> | undefined,
  accepted: Accepted,
  totals: SharedArrayBuffer,
  own: number,
): void {
  if (proxy === undefined) {
    closeDescriptor(accepted.fd);
    if (accepted.kind === "session") forgetOne(totals, own);
  } else if (accepted.kind === "session") proxy.takeSession(adoptTcpSocket(accepted.fd));
  else proxy.takeCaptured(new TcpConnection(accepted.fd, accepted.peer));
}
