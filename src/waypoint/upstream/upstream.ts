/** Clusters as the exchange and the TCP chain see them. */

import type { StreamEndpoint } from "../../shared/hbone/tunnel.ts";
import type { HttpProtocol, RequestHead, ResponseFlag } from "../http/message.ts";
import type { BodyWriter, DownstreamInfo, ResponseReceiver } from "../http/stream.ts";
import type { PeerWorkload } from "../telemetry/record.ts";

export interface Clusters {
  /** Undefined: no such cluster. The same object across updates that leave it alone. */
  get(name: string): Cluster | undefined;
}

/** What a choice of endpoint may depend on. */
export interface PickFacts {
  /** From the hash policies: 64 bits, as Envoy computes them. Undefined: none applies. */
  readonly hash: bigint | undefined;
  readonly downstream: DownstreamInfo;
  readonly downstreamProtocol: HttpProtocol | undefined;
  /** Endpoints of earlier attempts, to be avoided. */
  readonly tried: readonly Endpoint[];
  readonly hostSelectionAttempts: number;
  /** RetryPolicy.previousPriorities: from so many attempts on, priorities that were tried are left out. */
  readonly previousPriorities?: number | undefined;
  /** For dynamic forward proxies. */
  readonly authority: string | undefined;
}

export interface Endpoint {
  /** `ip:port` that is dialed in the end. */
  readonly address: string;
  readonly ip: string;
  readonly port: number;
  /** As Envoy prints UPSTREAM_HOST. */
  readonly hostText: string;
  /** As configured, or the name it was resolved from; "" or undefined: none. */
  readonly hostname?: string;
  readonly peer: PeerWorkload | undefined;
}

export type Picked =
  | { readonly kind: "endpoint"; readonly endpoint: Endpoint }
  /** UH (none healthy) or UO (a circuit breaker is open). */
  | { readonly kind: "none"; readonly flag: ResponseFlag; readonly details: string };

export interface Cluster {
  readonly name: string;
  /** alt_stat_name as configured. */
  readonly statName?: string;
  readonly service:
    | { readonly host: string; readonly name: string; readonly namespace: string }
    | undefined;
  /** Options of RetryPolicy bound this; false: the retry budget is spent (flag UO on retry overflow). */
  tryStartRetry(): RetryPermit | undefined;
  pick(facts: PickFacts): Picked;
  /**
   * Opens the request on a pooled or new connection. The receiver's `reset` says how it failed; `events.ready` comes when the
   * head is on its way. Cancel by `reset` on the returned writer, at any time.
   */
  request(
    endpoint: Endpoint,
    head: RequestHead,
    endStream: boolean,
    receiver: UpstreamReceiver,
    facts: PickFacts,
  ): BodyWriter;
  /**
   * For TCP chains and upgrades over raw connections. Rejects with UpstreamError. The signal aborts when the connection is
   * over, before or after it was made: it counts for circuit breakers and balancing until then.
   */
  connect(
    endpoint: Endpoint,
    facts: PickFacts,
    signal: AbortSignal,
  ): Promise<{ readonly stream: StreamEndpoint; readonly localAddress: string | undefined }>;
  /** The end of an attempt, for outlier detection. `status` undefined: it failed before an answer. */
  report(endpoint: Endpoint, outcome: AttemptOutcome): void;
}

export interface RetryPermit {
  release(): void;
}

export interface UpstreamReceiver extends ResponseReceiver {
  /** A connection was found or made: octets can flow. */
  connected(info: {
    readonly protocol: HttpProtocol;
    readonly localAddress: string | undefined;
    readonly reused: boolean;
  }): void;
  /** No connection: "overflow" is a circuit breaker (UO), the others are UF. Nothing else is called. */
  unavailable(failure: UpstreamFailure): void;
}

export interface UpstreamFailure {
  readonly kind:
    | "overflow"
    | "connect-failed"
    | "connect-timeout"
    | "tls-failed"
    | "tunnel-refused";
  /** For the log: %UPSTREAM_TRANSPORT_FAILURE_REASON%. */
  readonly reason: string;
}

export class UpstreamError extends Error {
  readonly failure: UpstreamFailure;

  constructor(failure: UpstreamFailure) {
    super(failure.reason);
    this.name = "UpstreamError";
    this.failure = failure;
  }
}

export type AttemptOutcome =
  | { readonly kind: "status"; readonly status: number; readonly grpcStatus: number | undefined }
  | { readonly kind: "local-origin-failure" }
  | { readonly kind: "reset" }
  | { readonly kind: "timeout" };
