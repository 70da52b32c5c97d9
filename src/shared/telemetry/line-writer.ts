/**
 * Where log lines go: collected for a moment, then written in one asynchronous system call. Nothing is dropped; when the
 * reader of the log stands still and too much has piled up, writing blocks (wire/ztunnel.md section 9.1).
 */
import { writeSync } from "node:fs";
import sonicBoom from "sonic-boom";
import type { Clock, Timer } from "../base/clock.ts";

/** About 10,000 lines of an access log. */
const blockAboveBytes = 4 * 1024 * 1024;
/** Short enough for a person who watches, long enough to join the lines of a busy moment. */
const joinMs = 20;

export interface LineWriter {
  write(line: string): void;
  /** Everything written so far is out when this returns. */
  flush(): void;
}

/** Writes now; what could not be written is returned. */
function writeNow(fd: number, text: string): string {
  const bytes = Buffer.from(text);
  let at = 0;
  try {
    while (at < bytes.length) at += writeSync(fd, bytes, at);
    return "";
  } catch {
    // A reader that stands still (EAGAIN), or a closed log: the sink knows both.
    return bytes.toString("utf8", at);
  }
}

export function createLineWriter(fd: number, clock: Clock): LineWriter {
  const sink = new sonicBoom.SonicBoom({ fd, sync: false, minLength: 0 });
  // A closed log is no reason to stop proxying; SonicBoom reports it once per write.
  sink.on("error", () => undefined);
  let waiting = "";
  let inFlightBytes = 0;
  let timer: Timer | undefined;
  sink.on("write", (bytes: number) => {
    inFlightBytes = Math.max(0, inFlightBytes - bytes);
  });
  const hand = (): void => {
    timer?.cancel();
    timer = undefined;
    if (waiting === "") return;
    inFlightBytes += waiting.length;
    sink.write(waiting);
    waiting = "";
  };
  const flush = (): void => {
    // With nothing in flight the sink would begin an asynchronous write, and flushSync does not wait for that.
    if (inFlightBytes === 0) waiting = writeNow(fd, waiting);
    hand();
    try {
      sink.flushSync();
    } catch {
      // Not ready or closed: there is nobody left to tell.
    }
    inFlightBytes = 0;
  };
  return {
    write: (line) => {
      waiting += line;
      if (waiting.length + inFlightBytes > blockAboveBytes) flush();
      else timer ??= clock.after(joinMs, hand);
    },
    flush,
  };
}
