/**
 * The mesh's state from a YAML text instead of (or beside) a control plane (wire/ztunnel.md section 1.11): the shape of the
 * config dump, unknown keys refused. A part of a dump can be pasted as it is.
 */
import { parseDocument } from "yaml";
import type { MeshUpdate } from "../model/mesh-update.ts";
import type { Service, ServiceKey, Workload } from "../model/workload.ts";
import { serviceKey } from "../model/workload.ts";
import { defaulted, type Infer, list, object, type Problem, pathText } from "../objects/schema.ts";
import { localPolicy } from "./local-policy.ts";
import { localService } from "./local-service.ts";
import { localWorkload } from "./local-workload.ts";

const localConfig = object({
  workloads: defaulted(list(localWorkload), []),
  services: defaulted(list(localService), []),
  policies: defaulted(list(localPolicy), []),
});

/** Throws RangeError that names every problem with its path. */
export function parseLocalConfig(text: string): MeshUpdate {
  const document = parseDocument(text, { logLevel: "error" });
  const [broken] = document.errors;
  if (broken !== undefined) throw new RangeError(`Cannot read local config: ${broken.message}`);
  const problems: Problem[] = [];
  const decoded = localConfig.decode(document.toJS() ?? {}, [], problems);
  if (decoded === undefined || problems.length > 0)
    throw new RangeError(
      `Cannot read local config: ${problems.map(({ path, reason }) => `${pathText(path)}: ${reason}`).join("; ")}`,
    );
  return toUpdate(decoded);
}

/** In a dump the endpoints stand on the service and the workload only lists its services: both forms count. */
function toUpdate(config: Infer<typeof localConfig>): MeshUpdate {
  const ports = new Map<string, Map<ServiceKey, ReadonlyMap<number, number>>>();
  for (const { service, endpoints } of config.services) {
    const key = serviceKey(service.namespace, service.hostname);
    for (const [uid, endpointPorts] of endpoints) {
      const behind = ports.get(uid) ?? new Map<ServiceKey, ReadonlyMap<number, number>>();
      ports.set(uid, behind.set(key, endpointPorts));
    }
  }
  const complete = (workload: Workload): Workload => ({
    ...workload,
    services: new Map([...workload.services, ...(ports.get(workload.uid) ?? [])]),
  });
  return {
    addresses: [
      ...config.workloads.map((workload) => ({
        kind: "workload" as const,
        workload: complete(workload),
      })),
      ...config.services.map(({ service }: { service: Service }) => ({
        kind: "service" as const,
        service,
      })),
    ],
    policies: config.policies,
  };
}
