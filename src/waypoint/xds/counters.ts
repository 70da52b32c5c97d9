/** What `/stats` says about the configuration, under Envoy's names (wire/waypoint.md section 1.7). */
import { clusterType, endpointsType, listenerType, workloadType } from "./types.ts";

const prefixes: Readonly<Record<string, string>> = {
  [clusterType]: "cluster_manager.cds",
  [listenerType]: "listener_manager.lds",
  [endpointsType]: "cluster_manager.eds",
  [workloadType]: "workload_discovery",
};

export class XdsCounters {
  readonly #values = new Map<string, number>(
    Object.values(prefixes).flatMap((prefix) =>
      ["update_attempt", "update_success", "update_rejected"].map(
        (name) => [`${prefix}.${name}`, 0] as const,
      ),
    ),
  );

  accepted(typeUrl: string): void {
    this.#count(typeUrl, "update_success");
  }

  rejected(typeUrl: string): void {
    this.#count(typeUrl, "update_rejected");
  }

  get values(): ReadonlyMap<string, number> {
    return this.#values;
  }

  #count(typeUrl: string, name: string): void {
    const prefix = prefixes[typeUrl];
    if (prefix === undefined) return;
    for (const key of [`${prefix}.update_attempt`, `${prefix}.${name}`])
      this.#values.set(key, (this.#values.get(key) ?? 0) + 1);
  }
}
