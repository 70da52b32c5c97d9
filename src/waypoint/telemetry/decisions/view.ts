/** Decision records in words and as JSON. */
import { formatTimestamp } from "../../../shared/telemetry/logger.ts";
import { addressText } from "../cel/attributes.ts";
import type { StreamRecord } from "../record.ts";
import { shortFlags } from "../response-flags.ts";
import { isRefusal } from "./ring.ts";

export interface DecisionEntry {
  readonly time: string;
  readonly outcome: "passed" | "refused";
  readonly chain: string;
  readonly source: string;
  readonly identity: string | null;
  readonly workload: string | null;
  readonly destination: string;
  readonly request: string | null;
  readonly status: number | null;
  readonly flags: string;
  readonly details: string | null;
  readonly route: string | null;
  readonly cluster: string | null;
  readonly endpoint: string | null;
  readonly decisions: readonly string[];
  /** All of it in words. */
  readonly text: string;
}

export function viewRecord(record: StreamRecord): DecisionEntry {
  const { downstream, source, upstream, http } = record;
  const entry = {
    time: formatTimestamp(record.startWallMs + record.durationMs),
    outcome: isRefusal(record) ? ("refused" as const) : ("passed" as const),
    chain: record.chain,
    source: addressText(downstream.source),
    identity: downstream.peerPrincipal ?? null,
    workload: source === undefined ? null : `${source.namespace}/${source.name}`,
    destination: addressText(downstream.destination),
    request:
      http === undefined
        ? null
        : `${http.request.method} ${http.request.authority}${http.originalPath}`,
    status: http?.status ?? null,
    flags: shortFlags(record.flags),
    details: record.details ?? record.connectionTerminationDetails ?? null,
    route: record.routeName ?? null,
    cluster: upstream?.cluster ?? null,
    endpoint: upstream?.address ?? null,
    decisions: record.decisions.map(
      ({ filter, outcome, reason }) => `${filter}: ${outcome}${reason === "" ? "" : `: ${reason}`}`,
    ),
  };
  return { ...entry, text: textOf(entry) };
}

function textOf(entry: Omit<DecisionEntry, "text">): string {
  const who = entry.workload ?? entry.identity ?? entry.source;
  const what = entry.request ?? `connection to ${entry.destination}`;
  const way = [
    entry.route === null ? "no route" : `route ${entry.route}`,
    entry.cluster === null ? undefined : `cluster ${entry.cluster}`,
    entry.endpoint === null ? undefined : `endpoint ${entry.endpoint}`,
  ].filter((part) => part !== undefined);
  const answer = entry.status === null ? "" : ` with ${entry.status}`;
  const flags = entry.flags === "-" ? "" : ` (${entry.flags})`;
  const why = [entry.details, ...entry.decisions].filter((part) => part !== null).join("; ");
  return `${what} of ${who} ${entry.outcome}${answer}${flags} by ${way.join(", ")}${why === "" ? "" : `: ${why}`}`;
}
