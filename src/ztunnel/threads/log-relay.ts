/**
 * Log lines of a thread on their way to the main one, which alone writes: two writers on one pipe would cut each other's lines.
 * As there, nothing is dropped: when the log's reader stands still and too much has piled up, the thread waits.
 */
import type { Clock, Timer } from "../../shared/base/clock.ts";

const blockAboveBytes = 4 * 1024 * 1024;
/** Joins the lines of a busy moment; the main thread joins them once more. */
const joinMs = 10;
/** How long one wait lasts before we look again: a wake-up that was missed must not hold the thread for ever. */
const lookAgainMs = 100;

export interface LineRelay {
  write(line: string): void;
  /** Everything written so far is on its way when this returns. */
  flush(): void;
}

/** Octets on their way: one number that both threads see. */
export function newLinesInFlight(): SharedArrayBuffer {
  return new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
}

export function createLineRelay(
  post: (text: string) => void,
  linesInFlight: SharedArrayBuffer,
  clock: Clock,
): LineRelay {
  const inFlight = new Int32Array(linesInFlight);
  let waiting = "";
  let timer: Timer | undefined;
  const flush = (): void => {
    timer?.cancel();
    timer = undefined;
    if (waiting === "") return;
    Atomics.add(inFlight, 0, waiting.length);
    post(waiting);
    waiting = "";
  };
  const untilRoom = (): void => {
    for (;;) {
      const now = Atomics.load(inFlight, 0);
      if (now <= blockAboveBytes) return;
      Atomics.wait(inFlight, 0, now, lookAgainMs);
    }
  };
  return {
    write: (line) => {
      waiting += line;
      if (waiting.length + Atomics.load(inFlight, 0) > blockAboveBytes) {
        flush();
        untilRoom();
      } else timer ??= clock.after(joinMs, flush);
    },
    flush,
  };
}

/** Called by the main thread once it has written the lines. */
export function linesTaken(linesInFlight: SharedArrayBuffer, text: string): void {
  const inFlight = new Int32Array(linesInFlight);
  Atomics.sub(inFlight, 0, text.length);
  Atomics.notify(inFlight, 0);
}
