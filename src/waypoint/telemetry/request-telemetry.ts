/**
 * Telemetry as the exchange and the TCP runner see it: told of the beginning, asked for trace headers, told of the end.
 * One object for the process; what differs by chain is read from the chain.
 */
import type { RequestHead, ResponseHead } from "../http/message.ts";
import type { DownstreamInfo } from "../http/stream.ts";
import type { HttpChain, TcpChain } from "../model/chain.ts";
import type { StreamRecord } from "./record.ts";

/** Gives the numbers of a stream that is still open; implemented by exchanges and TCP connections, so no closure is made. */
export interface RecordSource {
  /** A view of now, complete enough for labels: bytes, messages, peers. */
  record(): StreamRecord;
}

/** One request's trace; opaque to everyone but telemetry/tracing. Undefined where tracing is not configured. */
export interface RequestTrace {
  readonly sampled: boolean;
  /** Undefined: nobody takes spans. */
  readonly traceId: string | undefined;
}

export interface RequestTelemetry {
  /**
   * First thing of a request, before filters: puts `x-request-id` into the head as the chain says and decides whether the
   * request is traced. Changes `head.fields` only.
   */
  start(chain: HttpChain, head: RequestHead, downstream: DownstreamInfo): RequestTrace | undefined;
  /** For each attempt, on the head that goes upstream: trace headers of the provider. */
  injectUpstream(trace: RequestTrace, head: RequestHead): void;
  /**
   * On the answer's head: `x-request-id` where the chain asks for it, and for a traced chain the name that the route gives
   * the operation (its decorator).
   */
  answer(
    chain: HttpChain,
    request: RequestHead,
    response: ResponseHead,
    trace?: RequestTrace,
    operation?: string,
  ): void;
  /**
   * For gRPC requests and TCP connections that last: counts what has passed so far from time to time until `finish` with the
   * same source. TCP connections count as opened here. Not needed for plain requests.
   */
  watch(chain: HttpChain | TcpChain, source: RecordSource): void;
  /** The end, once: metrics, access logs, the span and the decision ring. `source` if it was watched. */
  finish(
    chain: HttpChain | TcpChain,
    record: StreamRecord,
    trace: RequestTrace | undefined,
    source?: RecordSource,
  ): void;
}

/** For tests of others. */
export const noTelemetry: RequestTelemetry = {
  start: () => undefined,
  injectUpstream: () => undefined,
  answer: () => undefined,
  watch: () => undefined,
  finish: () => undefined,
};
