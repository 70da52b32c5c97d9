/**
 * Metrics about the process itself, under the names that dashboards for the reference ask for (wire/ztunnel.md section 9.2).
 * Its `tokio_*` families tell of worker threads; ours tell the same of the threads that move the bytes.
 */
import { readdirSync, readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import type { FamilyOptions, Metrics } from "../../shared/telemetry/metrics.ts";

/** What a thread carries. */
export interface ThreadLoad {
  readonly openConnections: number;
  /** Since the start. */
  readonly takenConnections: number;
}

/** The kernel and the event loop keep these numbers anyway; we only read them when somebody asks. */
function gauge(metrics: Metrics, name: string, help: string, value: () => number): void {
  const family = metrics.gauge({ name, help, collect: () => update() });
  const update = (): void => {
    family.series().value = value();
  };
}

/** Of the process and of its main thread, which is the first of the `threads` that move connections. */
export function createRuntimeMetrics(metrics: Metrics, load: ThreadLoad, threads = 1): void {
  gauge(metrics, "process_open_fds", "Number of open file descriptors", openFiles);
  gauge(metrics, "process_max_fds", "Maximum number of file descriptors", maxFiles);
  gauge(metrics, "tokio_num_workers", "The number of threads that move connections", () => threads);
  gauge(
    metrics,
    "tokio_global_queue_depth",
    "The number of tasks that wait for any thread; there is no such queue here",
    () => 0,
  );
  createThreadMetrics(metrics, 0, load);
}

/** Of the calling thread. */
export function createThreadMetrics(metrics: Metrics, thread: number, load: ThreadLoad): void {
  const worker = String(thread);
  const workerCounter = (name: string, help: string, value: () => number): void => {
    const options: FamilyOptions = { name, help, labelNames: ["worker"], collect: () => update() };
    const family = metrics.counter(options);
    const update = (): void => {
      family.series(worker).value = value();
    };
  };
  gauge(
    metrics,
    "tokio_num_alive_tasks",
    "The number of connections that are being carried",
    () => load.openConnections,
  );
  workerCounter(
    "ambit_worker_connections",
    "The number of connections that the thread has taken (unstable)",
    () => load.takenConnections,
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
