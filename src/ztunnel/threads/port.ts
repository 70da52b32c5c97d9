/** A thread seen from another one, as a seam: in production a worker of Node, in tests a pair of ports. */
import type { ZtunnelConfig } from "../config.ts";

export interface ThreadPort {
  /** Copies the message (structured clone); order is kept. */
  post(message: unknown): void;
  /** Set once, at once. */
  onMessage(take: (message: unknown) => void): void;
}

/** What the main thread holds of another one. */
export interface ThreadHandle extends ThreadPort {
  /** Resolves when the thread has ended, with the reason if it did not end by itself. */
  readonly ended: Promise<Error | undefined>;
  /** Ends it now. */
  terminate(): void;
}

/** What a thread is started with; copied. */
export interface ThreadStart {
  /** From 1; the main thread is 0. */
  readonly thread: number;
  readonly config: ZtunnelConfig;
  /** Of the log at this moment. */
  readonly logDirectives: string;
  /** Octets of log lines that are on their way to the main thread. */
  readonly linesInFlight: SharedArrayBuffer;
  /** HBONE connections of each thread (session-board.ts). */
  readonly totals: SharedArrayBuffer;
}

export type StartThread = (start: ThreadStart) => ThreadHandle;
