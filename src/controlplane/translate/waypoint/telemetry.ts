/** Telemetry objects as they apply to one subject: the mesh's, the waypoint's namespace's, the service's, the targeted. */

import type { ExtensionProvider } from "../../../shared/objects/kinds/mesh-config.ts";
import type {
  AccessLoggingSpec,
  MetricsSpec,
  TracingSpec,
} from "../../../shared/objects/kinds/telemetry.ts";
import type { ObjectOf } from "../../../shared/objects/kinds.ts";
import { attaches, type Subject, targetRefsOf } from "./attachment.ts";
import type { Mesh } from "./mesh.ts";
import type { WaypointNode } from "./node.ts";

export type TelemetryObject = ObjectOf<"Telemetry">;

export interface ApplicableTelemetry {
  readonly metrics: readonly MetricsSpec[];
  /** One list for each object that says something about it. */
  readonly logging: readonly (readonly AccessLoggingSpec[])[];
  readonly tracing: readonly TracingSpec[];
}

export function applicableTelemetry(
  objects: ReadonlyMap<string, readonly TelemetryObject[]>,
  subject: Subject,
  node: WaypointNode,
  mesh: Mesh,
): ApplicableTelemetry {
  const namespaces = [mesh.rootNamespace];
  if (node.namespace !== mesh.rootNamespace) namespaces.push(node.namespace);
  let last = node.namespace;
  if (subject !== undefined && subject.namespace !== node.namespace) {
    namespaces.push(subject.namespace);
    last = subject.namespace;
  }
  const found = namespaces.flatMap((namespace) => generalOf(objects.get(namespace)) ?? []);
  for (const object of objects.get(last) ?? [])
    if (!isGeneral(object) && attaches(object, subject, node, mesh)) found.push(object);
  return {
    metrics: found.flatMap(({ spec }) => spec.metrics),
    logging: found.map(({ spec }) => spec.accessLogging).filter((list) => list.length > 0),
    tracing: found.flatMap(({ spec }) => spec.tracing),
  };
}

/** The oldest one that is for the whole namespace. */
function generalOf(objects: readonly TelemetryObject[] | undefined): TelemetryObject | undefined {
  return objects?.find(isGeneral);
}

function isGeneral(object: TelemetryObject): boolean {
  const labels = object.spec.selector?.matchLabels ?? {};
  return Object.keys(labels).length === 0 && targetRefsOf(object).length === 0;
}

/** Names of providers are compared without regard to case. */
export function findProvider(mesh: Mesh, name: string): ExtensionProvider | undefined {
  const wanted = name.toLowerCase();
  return mesh.providers.find((provider) => provider.name.toLowerCase() === wanted);
}

/** A waypoint is the server's side of what passes through it. */
export function concernsServer(mode: string | undefined): boolean {
  return mode === undefined || mode === "CLIENT_AND_SERVER" || mode === "SERVER";
}
