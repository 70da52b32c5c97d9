/**
 * Accepted connections on their way to the thread that serves them. Nothing has been read from them, so a descriptor is all
 * there is to them.
 */
import type { Clock } from "../../shared/base/clock.ts";
import { closeDescriptor } from "../../shared/os/libc.ts";
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
  const passed = (kind: Accepted["kind"]): Pass => {
    return ({ fd, peer }, thread) => send(thread, { kind, fd, peer });
  };
  return {
    placements: {
      sessions: placementBy(sessions, clock, passed("session")),
      captured: placementBy(captured, clock, passed("captured")),
    },
    open: () => {
      sessions.open();
      captured.open();
    },
  };
}

/** Sends a connection's descriptor to a thread, to which it belongs from then on. */
type Pass = (connection: TcpConnection, thread: number) => void;

function placementBy(board: SessionBoard, clock: Clock, pass: Pass): Placement {
  return {
    handOver: (connection) => {
      const thread = board.place();
      if (thread === undefined) return false;
      pass(connection, thread);
      return true;
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

/** Serves a connection that was handed over to this thread. Without a proxy (the pod has just left) it ends. */
export function takeOver(
  proxy: Pick<RunningPodProxy, "takeSession" | "takeCaptured"> | undefined,
  accepted: Accepted,
  totals: SharedArrayBuffer,
  own: number,
): void {
  const { kind, fd, peer } = accepted;
  if (proxy === undefined) {
    closeDescriptor(fd);
    if (kind === "session") forgetOne(totals, own);
  } else if (kind === "session") proxy.takeSession(new TcpConnection(fd, peer));
  else proxy.takeCaptured(new TcpConnection(fd, peer));
}
