/** What policies and telemetry make of the chains of one subject: a service, or workloads addressed by themselves. */
import { type AccessLogInit, accessLogs } from "./access-log.ts";
import { attached, type Subject } from "./attachment.ts";
import type { HttpFilterInit, NetworkFilterInit } from "./filters.ts";
import { httpAuthorization, tcpAuthorization } from "./policies/authorization.ts";
import { findAuthorizer } from "./policies/authorizers.ts";
import { httpCustom, tcpCustom } from "./policies/custom.ts";
import type { AuthorizationPolicy } from "./policies/rules.ts";
import { type KeySets, type RequestAuthentication, tokenFilter } from "./policies/tokens.ts";
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
  readonly authorization: ReadonlyMap<string, readonly AuthorizationPolicy[]>;
  readonly requestAuthentication: ReadonlyMap<string, readonly RequestAuthentication[]>;
  readonly keySets: KeySets;
}

export function subjectParts(world: World, tables: PolicyTables, subject: Subject): SubjectParts {
  const { mesh, node, services } = world;
  const telemetry = applicableTelemetry(tables.telemetry, subject, node, mesh);
  const authorization = attached(tables.authorization, subject, node, mesh);
  const custom = authorization.filter(({ spec }) => spec.action === "CUSTOM");
  const context = {
    trustDomains: mesh.trustDomains,
    find: (name: string) => findAuthorizer(mesh, services, name),
  };
  const tokens = tokenFilter(
    attached(tables.requestAuthentication, subject, node, mesh),
    tables.keySets,
  );
  return {
    httpPolicies: [
      ...httpCustom(custom, context),
      ...(tokens === undefined ? [] : [tokens]),
      ...httpAuthorization(authorization, mesh.trustDomains),
    ],
    tcpPolicies: [
      ...tcpCustom(custom, context),
      ...tcpAuthorization(authorization, mesh.trustDomains),
    ],
    stats: statsFilters(mesh, telemetry),
    streamLogs: accessLogs(mesh, telemetry, "stream"),
    tracing: tracingOf(mesh, node, services, telemetry),
  };
}
