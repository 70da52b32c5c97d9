/** The fields of an access log line, in the reference's order; what is not known is left out (wire/ztunnel.md section 9.1). */
import { formatSocketAddress, type SocketAddress } from "../../shared/net/authority.ts";
import { type LogFields, Unquoted } from "../../shared/telemetry/logger.ts";
import type { TrafficContext } from "./traffic.ts";

export type Direction = "outbound" | "inbound";

export interface AccessFacts {
  readonly direction: Direction;
  readonly source: SocketAddress;
  /** The TCP destination that was really used. */
  readonly destination: SocketAddress;
  /** Authority of the CONNECT. */
  readonly hboneAuthority?: string | undefined;
}

export interface AccessEnd {
  /** As the application on the reporting side sees it. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly durationMs: number;
  readonly error?: string | undefined;
  /** The policy and rule that decided, for denials; ours, the reference has no such fields. */
  readonly policy?: string | undefined;
}

function text(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}

function address(value: SocketAddress): Unquoted {
  return new Unquoted(formatSocketAddress(value));
}

/** Fields of both the line that opens and the line that closes a connection. */
export function openFields(facts: AccessFacts, context: TrafficContext): LogFields {
  const { source, destination, service } = context;
  return {
    "src.addr": address(facts.source),
    "src.workload": text(source?.displayName),
    "src.namespace": text(source?.namespace),
    "src.identity": text(context.sourceIdentity),
    "src.cluster": text(source?.clusterId),
    "dst.addr": address(facts.destination),
    "dst.hbone_addr":
      facts.hboneAuthority === undefined ? undefined : new Unquoted(facts.hboneAuthority),
    "dst.service": text(service?.hostname),
    "dst.workload": text(destination?.displayName),
    "dst.namespace": text(destination?.namespace),
    "dst.identity": text(context.destinationIdentity),
    "dst.cluster": text(destination?.clusterId),
    direction: facts.direction,
  };
}

export function closeFields(
  facts: AccessFacts,
  context: TrafficContext,
  end: AccessEnd,
): LogFields {
  return {
    ...openFields(facts, context),
    bytes_sent: end.bytesSent,
    bytes_recv: end.bytesReceived,
    duration: `${Math.floor(end.durationMs)}ms`,
    error: end.error,
    policy: end.policy,
  };
}

/** A connection that was refused before anything about it was known. */
export function earlyDenyFields(
  direction: Direction,
  source: SocketAddress | undefined,
  destination: SocketAddress | undefined,
  error: string,
): LogFields {
  return {
    "src.addr": source === undefined ? undefined : address(source),
    "dst.addr": destination === undefined ? undefined : address(destination),
    direction,
    error,
  };
}
