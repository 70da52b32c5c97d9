/** The control plane's pages for operators: what it knows, and what each client was told and made of it. */
import { type AdminHandler, jsonAnswer, textAnswer } from "../../shared/admin/http-server.ts";
import type { Readiness } from "../../shared/base/readiness.ts";
import type { ObjectSource } from "../../shared/objects/source.ts";
import type { MeshModel } from "../mesh-model.ts";
import type { DiscoveryServer } from "../push/discovery-server.ts";
import type { StatusReport } from "../status/report.ts";

export interface DebugDeps {
  readonly objects: ObjectSource;
  readonly model: MeshModel;
  readonly discovery: DiscoveryServer;
  readonly readiness: Readiness;
  /** Limited to the pods of one node when it is named. */
  readonly status: (node: string | undefined) => StatusReport;
}

export function debugRoutes(deps: DebugDeps): Readonly<Record<string, AdminHandler>> {
  const { objects, model, discovery, readiness } = deps;
  return {
    "/": () => textAnswer(200, "/ready\n/debug/snapshot\n/debug/connections\n/debug/status\n"),
    "/ready": () =>
      readiness.ready
        ? textAnswer(200, "ready\n")
        : textAnswer(503, `not ready, pending: ${readiness.pending().join(", ")}\n`),
    "/debug/connections": () => jsonAnswer({ connections: discovery.reports() }),
    "/debug/status": ({ query }) => jsonAnswer(deps.status(query.get("node") ?? undefined)),
    "/debug/snapshot": () => {
      const { revision, objects: all, problems, skipped } = objects.snapshot;
      const { workloads, services, policies, conditions } = model.state;
      return jsonAnswer(
        plain({
          revision: model.snapshot.revision,
          objectRevision: revision,
          objects: all.size,
          workloads: [...workloads.values()],
          services: [...services.values()],
          policies: [...policies.values()],
          conditions,
          problems,
          skipped,
        }),
      );
    },
  };
}

/** Maps become objects and prefixes text, so that JSON shows them. */
function plain(value: unknown): unknown {
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([key, item]) => [String(key), plain(item)]));
  if (value instanceof Uint8Array) return undefined;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}
