/**
 * Accepted HBONE connections on their way to the thread that serves them. Nothing has been read from them, so a descriptor is
 * all there is to them.
 */
import type { Socket } from "node:net";
import type { Clock } from "../../shared/base/clock.ts";
import { adoptTcpSocket } from "../../shared/os/adopt-socket.ts";
import { descriptorOf } from "../../shared/os/descriptor.ts";
import { closeDescriptor, duplicate } from "../../shared/os/libc.ts";
import type { RunningPodProxy, SessionPlacement } from "../proxy/pod-proxy.ts";
import { forgetOne, type SessionBoard } from "./session-board.ts";

/** A message between threads takes a fraction of this. */
const LOOK_AGAIN_MS = 1;
const SETTLE_LIMIT_MS = 1_000;

/** Places connections by the board; `send` passes one on to another thread. */
export function placementBy(
  board: SessionBoard,
  clock: Clock,
  send: (thread: number, fd: number) => void,
): SessionPlacement {
  return {
    handOver: (socket) => {
      const thread = board.place();
      if (thread === undefined) return false;
      const fd = descriptorOfOwn(socket);
      if (fd === undefined) {
        board.keep(thread);
        return false;
      }
      socket.destroy();
      send(thread, fd);
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
  proxy: Pick<RunningPodProxy, "take"> | undefined,
  fd: number,
  totals: SharedArrayBuffer,
  own: number,
): void {
  if (proxy !== undefined) {
    proxy.take(adoptTcpSocket(fd));
    return;
  }
  closeDescriptor(fd);
  forgetOne(totals, own);
}
