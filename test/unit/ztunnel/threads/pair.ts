/** A data-path thread without a thread: the same two ends, joined by a pair of ports, which copy what passes as workers do. */
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { loadConfig, type ZtunnelConfig } from "../../../../src/ztunnel/config.ts";
import { joinDataPath } from "../../../../src/ztunnel/threads/member.ts";
import type {
  StartThread,
  ThreadHandle,
  ThreadStart,
} from "../../../../src/ztunnel/threads/port.ts";

/** Ports of its own choice, so that tests can run beside one another. */
export function threadConfig(env: Readonly<Record<string, string>> = {}): ZtunnelConfig {
  const config = loadConfig({
    env: {
      PROXY_MODE: "dedicated",
      PROXY_WORKLOAD_INFO: "shop/web/web",
      ISTIO_META_DNS_CAPTURE: "false",
      AUTH_TOKEN: "a literal token",
      ...env,
    },
    readFile: () => undefined,
    fileExists: () => false,
    cpus: 2,
  });
  // A rehearsal that a test ends in its middle would leave its sockets to the process.
  return { ...config, rehearsalMs: 0, outboundPort: 0, inboundPort: 0, inboundPlaintextPort: 0 };
}

function isEnd(message: unknown): boolean {
  return JSON.stringify(message) === '{"kind":"end"}';
}

export interface PairedThread {
  readonly start: ThreadStart;
  /** Everything that the main thread has sent. */
  readonly received: unknown[];
  /** Says something in the thread's name. */
  say(message: unknown): void;
  /** Ends it unasked. */
  die(error?: Error): void;
}

export interface Pairs {
  readonly startThread: StartThread;
  readonly threads: readonly PairedThread[];
  close(): void;
}

/** `silent`: nobody joins, so that a test speaks for the thread. */
export function pairedThreads({ silent = false } = {}): Pairs {
  const threads: PairedThread[] = [];
  const ports: MessagePort[] = [];
  const startThread = (start: ThreadStart): ThreadHandle => {
    const { port1: near, port2: far } = new MessageChannel();
    ports.push(near, far);
    const received: unknown[] = [];
    let end: (error?: Error) => void = () => undefined;
    const ended = new Promise<Error | undefined>((resolve) => {
      end = (error) => {
        // As a worker does: what was said before the end is heard before it.
        setTimeout(() => {
          near.close();
          resolve(error);
        }, 10);
      };
    });
    // A worker's data is a copy, too.
    const copy = structuredClone(start);
    const onMessage = (take: (message: unknown) => void): void => {
      far.on("message", (message: unknown) => {
        received.push(message);
        take(message);
      });
    };
    const port = { post: (message: unknown) => far.postMessage(message), onMessage };
    if (silent) onMessage((message) => isEnd(message) && end());
    else joinDataPath({ port, start: copy, clock: systemClock, random: Math.random, end });
    threads.push({
      start: copy,
      received,
      say: (message) => far.postMessage(message),
      die: end,
    });
    return {
      post: (message) => near.postMessage(message),
      onMessage: (take) => void near.on("message", take),
      ended,
      terminate: () => end(),
    };
  };
  return {
    startThread,
    threads,
    close: () => {
      for (const port of ports) port.close();
    },
  };
}
