/** The waypoint's pods as whoever deploys them drives them: started, ready, told to go, or gone. */
import type { Mesh } from "../world/mesh.ts";
import type { ExitInfo, ManagedProcess } from "../world/process.ts";
import type { Population } from "./population.ts";
import { EntryRecord } from "./record.ts";
import { WAYPOINT_SLOTS } from "./shop.ts";
import type { WaypointEntry } from "./waypoint-log.ts";

/** New connections are still taken so long after SIGTERM: node proxies hear of the end within milliseconds here. */
const TERMINATION_DRAIN = "1s";

export interface RunningWaypoint {
  readonly pod: string;
  readonly process: ManagedProcess;
}

export class WaypointPods {
  /** What all of them reported. */
  readonly record = new EntryRecord<WaypointEntry>();
  readonly #mesh: Mesh;
  readonly #population: Population;
  readonly #onLine: (line: string) => WaypointEntry | undefined;
  readonly #running = new Map<string, RunningWaypoint>();

  constructor(
    mesh: Mesh,
    population: Population,
    onLine: (line: string) => WaypointEntry | undefined,
  ) {
    this.#mesh = mesh;
    this.#population = population;
    this.#onLine = onLine;
  }

  /** Oldest first. */
  get running(): readonly RunningWaypoint[] {
    return [...this.#running.values()];
  }

  /** Starts one in a free slot; it is an endpoint once it is ready. */
  async start(): Promise<RunningWaypoint> {
    const pod = WAYPOINT_SLOTS.find((slot) => !this.#running.has(slot));
    if (pod === undefined) throw new Error("both waypoints run");
    this.#population.set(pod, "not-ready");
    const child = await this.#mesh.startWaypoint(pod, {
      AMBIT_TERMINATION_DRAIN: TERMINATION_DRAIN,
      TERMINATION_GRACE_PERIOD_SECONDS: "12",
    });
    child.onLine((line) => {
      const entry = this.#onLine(line);
      if (entry !== undefined) this.record.add(entry);
    });
    const waypoint: RunningWaypoint = { pod, process: child };
    this.#running.set(pod, waypoint);
    this.#population.set(pod, "ready");
    return waypoint;
  }

  /** As when a pod is deleted: it is no endpoint any more and is told to end. */
  async stop({ pod, process }: RunningWaypoint): Promise<ExitInfo> {
    this.#population.set(pod, "not-ready");
    const exit = await process.stop("SIGTERM", 15_000);
    this.forget(pod);
    return exit;
  }

  /** The process dies; that its pod is not ready is noticed later, by `forget`. */
  async kill({ process }: RunningWaypoint): Promise<void> {
    process.kill("SIGKILL");
    await process.exited;
  }

  forget(pod: string): void {
    this.#running.delete(pod);
    this.#population.set(pod, "absent");
  }
}
