/** A connection that no chain takes, for the listener's access log (wire/waypoint.md section 3.3): flag NR. */
import type { DownstreamInfo } from "../http/stream.ts";
import type { PeerWorkload, StreamRecord } from "../telemetry/record.ts";

export function unmatchedRecord(
  downstream: DownstreamInfo,
  wallMs: number,
  source: PeerWorkload | undefined,
): StreamRecord {
  return {
    kind: "tcp",
    chain: "",
    downstream,
    source,
    startWallMs: downstream.startedWallMs,
    durationMs: Math.max(0, wallMs - downstream.startedWallMs),
    bytesReceived: 0,
    bytesSent: 0,
    wireBytesReceived: 0,
    wireBytesSent: 0,
    flags: ["NR"],
    details: "filter_chain_not_found",
    connectionTerminationDetails: undefined,
    routeName: undefined,
    upstream: undefined,
    metadata: new Map(),
    decisions: [],
    http: undefined,
  };
}
