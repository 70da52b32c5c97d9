/** What is known of a request, for logs, metrics and traces. */

import { Fields } from "../http/message.ts";
import type { DownstreamInfo, RefusedRequest } from "../http/stream.ts";
import type { HttpChain } from "../model/chain.ts";
import { chooseCluster } from "../routing/forward.ts";
import type { StreamRecord, UpstreamRecord } from "../telemetry/record.ts";
import type { ExchangeDeps } from "./deps.ts";
import type { Exchange } from "./exchange.ts";

export function httpRecord(
  exchange: Exchange,
  durationMs: number,
  upstream: UpstreamRecord | undefined,
): StreamRecord {
  const { stream, deps, downstream, response, trailers } = exchange;
  return {
    kind: "http",
    chain: exchange.chain.name,
    downstream,
    source: deps.sourcePeer(downstream),
    startWallMs: exchange.startWallMs,
    durationMs,
    timing: exchange.moments,
    bytesReceived: exchange.bytesReceived,
    bytesSent: exchange.bytesSent,
    wireBytesReceived: stream.wireBytesReceived,
    wireBytesSent: stream.wireBytesSent,
    flags: exchange.flags,
    details: exchange.details,
    connectionTerminationDetails: undefined,
    // Envoy has its route before any filter is asked: a denied request is told by the route it would have taken.
    routeName: exchange.decisions.length > 0 ? exchange.route?.name : exchange.routeName,
    upstream: upstream ?? intended(exchange),
    metadata: exchange.metadata,
    decisions: exchange.decisions,
    http: {
      protocol: stream.protocol,
      request: exchange.head,
      originalPath: exchange.originalPath,
      status: exchange.status,
      responseFields: response?.fields,
      trailers,
      grpcStatus: trailers?.get("grpc-status") ?? response?.fields.get("grpc-status"),
      requestMessages: exchange.requestMessages?.count ?? 0,
      responseMessages: exchange.responseMessages?.count ?? 0,
      operation: exchange.operation,
      traceId: exchange.traceId,
    },
  };
}

/** Where a request would have gone that a filter answered. */
function intended(exchange: Exchange): UpstreamRecord | undefined {
  if (exchange.decisions.length === 0) return undefined;
  const action = exchange.route?.action;
  if (action?.kind !== "forward") return undefined;
  const { cluster } = chooseCluster(action.forward.clusters, exchange.head, exchange.random());
  const known = exchange.clusters.get(cluster);
  if (known === undefined) return undefined;
  return {
    cluster,
    statName: known.statName,
    service: known.service,
    address: undefined,
    hostText: undefined,
    localAddress: undefined,
    peer: undefined,
    failureReason: undefined,
    attempts: 0,
    serviceTimeMs: undefined,
  };
}

/** Of a request that the codec refused. */
export function refusedRecord(
  deps: ExchangeDeps,
  chain: HttpChain,
  refused: RefusedRequest,
  downstream: DownstreamInfo,
): StreamRecord {
  return {
    kind: "http",
    chain: chain.name,
    downstream,
    source: deps.sourcePeer(downstream),
    startWallMs: deps.clock.wallMs(),
    durationMs: 0,
    bytesReceived: 0,
    bytesSent: 0,
    wireBytesReceived: refused.wireBytesReceived,
    wireBytesSent: refused.wireBytesSent,
    flags: refused.flags,
    details: refused.details,
    connectionTerminationDetails: undefined,
    routeName: undefined,
    upstream: undefined,
    metadata: new Map(),
    decisions: [],
    http: {
      protocol: refused.protocol,
      request: {
        method: "",
        scheme: "http",
        authority: "",
        path: "",
        fields: new Fields(),
        upgrade: undefined,
      },
      originalPath: "",
      status: refused.status,
      responseFields: undefined,
      trailers: undefined,
      grpcStatus: undefined,
      requestMessages: 0,
      responseMessages: 0,
    },
  };
}
