/** Everything that serves traffic, as one immutable value: a request sees one of them or the next, never a mixture. */
import type { MainListener } from "../compile/main-listener.ts";
import type { AccessLog } from "../telemetry/config.ts";
import type { TerminatePlan } from "../terminate/plan.ts";
import type { Clusters } from "../upstream/upstream.ts";

export interface WaypointState {
  /** Grows with each change. */
  readonly generation: number;
  readonly main: MainListener | undefined;
  readonly terminate: TerminatePlan | undefined;
  readonly clusters: Clusters;
  /** Of tunnels that could not be made. */
  readonly wayOutLogs?: readonly AccessLog[];
}

export class StateHolder {
  #current: WaypointState;
  readonly #listeners = new Set<(now: WaypointState, before: WaypointState) => void>();

  constructor(clusters: Clusters) {
    this.#current = { generation: 0, main: undefined, terminate: undefined, clusters };
  }

  get current(): WaypointState {
    return this.#current;
  }

  swap(next: Omit<WaypointState, "generation">): void {
    const before = this.#current;
    this.#current = { ...next, generation: before.generation + 1 };
    for (const listener of this.#listeners) listener(this.#current, before);
  }

  /** Called after each swap; returns the way to stop listening. */
  subscribe(listener: (now: WaypointState, before: WaypointState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
