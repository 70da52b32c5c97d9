/** What led nowhere, for the access logs of the way in (wire/waypoint.md sections 3.2 and 3.3): flag NR. */
import type { IncomingTunnel } from "../../shared/hbone/tunnel.ts";
import { Fields } from "../http/message.ts";
import type { DownstreamInfo } from "../http/stream.ts";
import type { PeerWorkload, StreamRecord } from "../telemetry/record.ts";
import { downstreamOf, type SessionFacts } from "./downstream.ts";

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

/** A request on the port of tunnels that is no CONNECT: the one route there does not match it. */
export function refusedTunnelRecord(
  facts: SessionFacts,
  tunnel: Pick<IncomingTunnel, "method" | "authority" | "headers">,
  status: number,
  wallMs: number,
): StreamRecord {
  const { method, authority, headers } = tunnel;
  return {
    ...unmatchedRecord(downstreamOf(facts, tunnel, 0, wallMs), wallMs, undefined),
    kind: "http",
    details: "route_not_found",
    http: {
      protocol: "HTTP/2",
      request: {
        method,
        scheme: "http",
        authority,
        path: "",
        fields: new Fields(headers.flat()),
        upgrade: undefined,
      },
      originalPath: "",
      status,
      responseFields: undefined,
      trailers: undefined,
      grpcStatus: undefined,
      requestMessages: 0,
      responseMessages: 0,
    },
  };
}
