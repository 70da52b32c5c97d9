/** What policies and telemetry make of the chains of one subject: a service, or workloads addressed by themselves. */
import { type AccessLogInit, accessLogs } from "./access-log.ts";
import type { Subject } from "./attachment.ts";
import type { HttpFilterInit, NetworkFilterInit } from "./filters.ts";
import { statsFilters } from "./stats.ts";
import { applicableTelemetry, type TelemetryObject } from "./telemetry.ts";
import { type TracingResult, tracingOf } from "./tracing.ts";
import type { World } from "./world.ts";

export interface SubjectParts {
  /** In the order of the filters: custom, tokens, then audit, deny, allow. */
  readonly httpPolicies: readonly HttpFilterInit[];
  readonly tcpPolicies: readonly NetworkFilterInit[];
  readonly stats: readonly (HttpFilterInit & NetworkFilterInit)[];
  readonly streamLogs: AccessLogInit[];
  readonly tracing: TracingResult;
}

/** Policies by namespace, each in the order of their age. */
export interface PolicyTables {
  readonly telemetry: ReadonlyMap<string, readonly TelemetryObject[]>;
}

export function subjectParts(world: World, tables: PolicyTables, subject: Subject): SubjectParts {
  const { mesh, node, services } = world;
  const telemetry = applicableTelemetry(tables.telemetry, subject, node, mesh);
  return {
    httpPolicies: [],
    tcpPolicies: [],
    stats: statsFilters(mesh, telemetry),
    streamLogs: accessLogs(mesh, telemetry, "stream"),
    tracing: tracingOf(mesh, node, services, telemetry),
  };
}
