/**
 * Metrics about the process itself, under the names that dashboards for the reference ask for (wire/ztunnel.md section 9.2).
 * Its `tokio_*` families tell of worker threads; ours tell the same of the thread that moves the bytes.
 */
import { readdirSync, readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import type { FamilyOptions, Metrics } from "../../shared/telemetry/metrics.ts";

export interface RuntimeFacts {
  /** Connections that are being carried. */
  readonly openConnections: () => number;
}

/** The one thread of the data path: listeners, tunnels, connections, DNS. */
const WORKER = "0";

/** The kernel and the event loop keep these numbers anyway; we only read them when somebody asks. */
export function createRuntimeMetrics(metrics: Metrics, facts: RuntimeFacts): void {
  const gauge = (name: string, help: string, value: () => number): void => {
    const family = metrics.gauge({ name, help, collect: () => update() });
    const update = (): void => {
      family.series().value = value();
    };
  };
  const workerCounter = (name: string, help: string, value: () => number): void => {
    const options: FamilyOptions = { name, help, labelNames: ["worker"], collect: () => update() };
    const family = metrics.counter(options);
    const update = (): void => {
      family.series(WORKER).value = value();
    };
  };
  gauge("process_open_fds", "Number of open file descriptors", openFiles);
  gauge("process_max_fds", "Maximum number of file descriptors", maxFiles);
  gauge("tokio_num_workers", "The number of threads that move connections", () => 1);
  gauge(
    "tokio_global_queue_depth",
    "The number of tasks that wait for any thread; there is no such queue here",
    () => 0,
  );
  gauge(
    "tokio_num_alive_tasks",
    "The number of connections that are being carried",
    facts.openConnections,
  );
  workerCounter(
    "tokio_worker_total_busy_duration_seconds",
    "The time that the thread was not waiting for events",
    () => performance.eventLoopUtilization().active / 1000,
  );
  workerCounter(
    "tokio_worker_park_count",
    "The number of times that the thread asked the kernel for events",
    eventLoopTurns,
  );
  workerCounter(
    "tokio_worker_park_unpark_count",
    "The number of times that the thread asked the kernel for events or came back from that",
    // Who reads this is awake: every time it parked it has come back.
    () => 2 * eventLoopTurns(),
  );
}

function eventLoopTurns(): number {
  return performance.nodeTiming.uvMetricsInfo.loopCount;
}

function openFiles(): number {
  // Without the one that reads the folder.
  return readdirSync("/proc/self/fd").length - 1;
}

function maxFiles(): number {
  const limits = readFileSync("/proc/self/limits", "utf8");
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 0);
}
