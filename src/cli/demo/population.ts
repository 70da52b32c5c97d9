/** Which pods the objects tell of: those of the topology, less those that are absent, and which of them are ready. */
import { type ObjectFolder, topologyObjects } from "../world/objects.ts";
import type { Topology } from "../world/topology.ts";
import { WAYPOINT } from "./shop.ts";

export type PodPresence = "ready" | "not-ready" | "absent";

export class Population {
  readonly #folder: ObjectFolder;
  readonly #topology: Topology;
  readonly #presence = new Map<string, PodPresence>();

  /** Waypoints are absent until they are started. */
  constructor(folder: ObjectFolder, topology: Topology) {
    this.#folder = folder;
    this.#topology = topology;
    for (const { name, app } of topology.pods)
      this.#presence.set(name, app === WAYPOINT ? "absent" : "ready");
    this.#write();
  }

  set(name: string, presence: PodPresence): void {
    this.#presence.set(name, presence);
    this.#write();
  }

  #write(): void {
    const pods = this.#topology.pods
      .filter(({ name }) => this.#presence.get(name) !== "absent")
      .map((pod) => ({ ...pod, ready: this.#presence.get(pod.name) === "ready" }));
    this.#folder.write("topology", topologyObjects({ ...this.#topology, pods }));
  }
}
