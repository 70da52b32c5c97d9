/** Labels of the traffic metrics, in the reference's order (wire/ztunnel.md section 9.2). */
import type { Service } from "../../shared/model/workload.ts";
import type { Party } from "./party.ts";

export type Reporter = "source" | "destination";

/** Who talks to whom, as far as it is known. */
export interface TrafficContext {
  readonly reporter: Reporter;
  readonly source: Party | undefined;
  /** Proven by mTLS. */
  readonly sourceIdentity: string | undefined;
  readonly destination: Party | undefined;
  /** Proven by mTLS. */
  readonly destinationIdentity: string | undefined;
  readonly service: Pick<Service, "name" | "namespace" | "hostname"> | undefined;
  readonly mutualTls: boolean;
}

export const trafficLabelNames = [
  "reporter",
  "source_workload",
  "source_canonical_service",
  "source_canonical_revision",
  "source_workload_namespace",
  "source_principal",
  "source_app",
  "source_version",
  "source_cluster",
  "destination_service",
  "destination_service_namespace",
  "destination_service_name",
  "destination_workload",
  "destination_canonical_service",
  "destination_canonical_revision",
  "destination_workload_namespace",
  "destination_principal",
  "destination_app",
  "destination_version",
  "destination_cluster",
  "request_protocol",
  "response_flags",
  "connection_security_policy",
  "source_region",
  "source_zone",
  "destination_region",
  "destination_zone",
] as const;

/** Position of response_flags; the rest of a connection's labels never changes. */
export const responseFlagsIndex: number = trafficLabelNames.indexOf("response_flags");

function or(value: string | undefined): string {
  return value === undefined || value === "" ? "unknown" : value;
}

/** Whether two connections between the same parties have the same labels. */
export function sameLabels(a: TrafficContext, b: TrafficContext): boolean {
  return (
    a.reporter === b.reporter &&
    a.mutualTls === b.mutualTls &&
    a.sourceIdentity === b.sourceIdentity &&
    a.destinationIdentity === b.destinationIdentity &&
    a.service?.hostname === b.service?.hostname &&
    a.service?.namespace === b.service?.namespace &&
    a.service?.name === b.service?.name
  );
}

/** Values in the order of the names, with `-` as response flag. */
export function trafficLabels(context: TrafficContext): string[] {
  const { source, destination, service } = context;
  return [
    context.reporter,
    or(source?.workloadName),
    or(source?.canonicalName),
    or(source?.canonicalRevision),
    or(source?.namespace),
    or(context.sourceIdentity),
    or(source?.app),
    or(source?.canonicalRevision),
    or(source?.clusterId),
    or(service?.hostname),
    or(service?.namespace),
    or(service?.name),
    or(destination?.workloadName),
    or(destination?.canonicalName),
    or(destination?.canonicalRevision),
    or(destination?.namespace),
    // Implied by the record even where the hop is in the clear, as the reference reports it.
    or(context.destinationIdentity ?? destination?.identity),
    or(destination?.app),
    or(destination?.canonicalRevision),
    or(destination?.clusterId),
    "tcp",
    "-",
    context.mutualTls ? "mutual_tls" : "unknown",
    or(source?.region),
    or(source?.zone),
    or(destination?.region),
    or(destination?.zone),
  ];
}
