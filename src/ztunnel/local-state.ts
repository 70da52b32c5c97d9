/** State from LOCAL_XDS or LOCAL_XDS_PATH (wire/ztunnel.md section 1.11). Its reader is loaded only where one is set. */
import { readFileSync } from "node:fs";
import type { MeshUpdate } from "../shared/model/mesh-update.ts";
import type { JsonObject } from "./admin/mesh-view.ts";
import { policyView, serviceView, workloadView } from "./admin/mesh-view.ts";
import type { LocalXdsSource } from "./config.ts";

/** Throws RangeError that names every problem. */
export async function loadLocalState(source: LocalXdsSource | undefined): Promise<MeshUpdate> {
  if (source === undefined) return {};
  const { parseLocalConfig } = await import("../shared/xds/local-config.ts");
  return parseLocalConfig(source.kind === "file" ? readFileSync(source.path, "utf8") : source.yaml);
}

/** `staticConfig` of the configuration dump. */
export function localStateView(update: MeshUpdate): JsonObject {
  const addresses = update.addresses ?? [];
  return {
    workloads: addresses.flatMap((entry) =>
      entry.kind === "workload" ? [workloadView(entry.workload)] : [],
    ),
    policies: (update.policies ?? []).map(policyView),
    services: addresses.flatMap((entry) =>
      entry.kind === "service" ? [serviceView(entry.service, [])] : [],
    ),
  };
}
