/** Where access logs are written: one sink a path for the life of the process, shared by all chains. */
import { closeSync, openSync } from "node:fs";
import type { Clock } from "../../shared/base/clock.ts";
import { createLineWriter, type LineWriter } from "../../shared/telemetry/line-writer.ts";
import type { LineSink } from "./environment.ts";

const STANDARD: ReadonlyMap<string, 1 | 2> = new Map([
  ["/dev/stdout", 1],
  ["/dev/fd/1", 1],
  ["/proc/self/fd/1", 1],
  ["/dev/stderr", 2],
  ["/dev/fd/2", 2],
  ["/proc/self/fd/2", 2],
]);

interface OpenSink {
  readonly writer: LineWriter;
  /** Undefined: not ours to close. */
  readonly fd: number | undefined;
}

/** Access log lines that had no place to go. */
const nowhere: OpenSink = {
  writer: { write: () => undefined, flush: () => undefined },
  fd: undefined,
};

export class LogSinks {
  readonly #clock: Clock;
  readonly #onFailure: (path: string, reason: unknown) => void;
  readonly #sinks = new Map<string, OpenSink>();

  constructor(clock: Clock, onFailure: (path: string, reason: unknown) => void) {
    this.#clock = clock;
    this.#onFailure = onFailure;
  }

  /** A file that cannot be opened is reported once; its lines are lost, requests go on. */
  sink(path: string): LineSink {
    let found = this.#sinks.get(path);
    if (found === undefined) {
      found = this.#open(path);
      this.#sinks.set(path, found);
    }
    return found.writer;
  }

  #open(path: string): OpenSink {
    const standard = STANDARD.get(path);
    if (standard !== undefined)
      return { writer: createLineWriter(standard, this.#clock), fd: undefined };
    try {
      const fd = openSync(path, "a", 0o644);
      return { writer: createLineWriter(fd, this.#clock), fd };
    } catch (thrown) {
      this.#onFailure(path, thrown);
      return nowhere;
    }
  }

  /** For shutdown: everything written is out when this returns. */
  close(): void {
    for (const { writer, fd } of this.#sinks.values()) {
      writer.flush();
      if (fd !== undefined) closeSync(fd);
    }
    this.#sinks.clear();
  }
}
