/** Everything known about one finished request or connection; access log, metrics, traces and decisions read it. */
import type { FilterDecision, MetadataValue } from "../filters/filter.ts";
import type { Fields, HttpProtocol, RequestHead, ResponseFlag } from "../http/message.ts";
import type { DownstreamInfo } from "../http/stream.ts";

/** The peer as the mesh knows it (istio.workload.Workload); undefined fields print their fallbacks. */
export interface PeerWorkload {
  readonly workload: string;
  readonly namespace: string;
  readonly cluster: string;
  readonly canonicalService: string;
  readonly canonicalRevision: string;
  /** pod, deployment, job, cronjob. */
  readonly type: string;
  readonly name: string;
  readonly trustDomain: string;
  readonly serviceAccount: string;
  readonly region: string;
  readonly zone: string;
}

export interface UpstreamRecord {
  /** As configured: `inbound-vip|80|http|host`. */
  readonly cluster: string;
  /** %UPSTREAM_CLUSTER%: the cluster's alt_stat_name as configured; undefined prints the name. */
  readonly statName?: string | undefined;
  /** From the cluster's metadata. */
  readonly service:
    | { readonly host: string; readonly name: string; readonly namespace: string }
    | undefined;
  /** `ip:port` of the endpoint that was tried last. */
  readonly address: string | undefined;
  /** As Envoy prints it: endpoint id for internal addresses. */
  readonly hostText: string | undefined;
  readonly localAddress: string | undefined;
  readonly protocol?: HttpProtocol | undefined;
  readonly peer: PeerWorkload | undefined;
  readonly failureReason: string | undefined;
  readonly attempts: number;
  /** From the first octet sent upstream to the answer's head. */
  readonly serviceTimeMs: number | undefined;
}

/** Moments in milliseconds since the stream began; undefined: it did not happen, or nobody looked. */
export interface StreamTiming {
  /** The request's last octet came. */
  readonly requestEndMs?: number | undefined;
  readonly upstreamFirstSentMs?: number | undefined;
  readonly upstreamLastSentMs?: number | undefined;
  readonly upstreamFirstReceivedMs?: number | undefined;
  readonly upstreamLastReceivedMs?: number | undefined;
  readonly responseFirstSentMs?: number | undefined;
  readonly responseLastSentMs?: number | undefined;
}

export interface StreamRecord {
  readonly kind: "http" | "tcp";
  readonly chain: string;
  readonly downstream: DownstreamInfo;
  readonly source: PeerWorkload | undefined;
  readonly startWallMs: number;
  readonly durationMs: number;
  readonly timing?: StreamTiming | undefined;
  /** Octets of bodies; wire octets with heads are the next two. */
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly wireBytesReceived: number;
  readonly wireBytesSent: number;
  readonly flags: readonly ResponseFlag[];
  readonly details: string | undefined;
  readonly connectionTerminationDetails: string | undefined;
  readonly routeName: string | undefined;
  readonly upstream: UpstreamRecord | undefined;
  readonly metadata: ReadonlyMap<string, { readonly [key: string]: MetadataValue }>;
  readonly decisions: readonly FilterDecision[];
  readonly http: HttpRecord | undefined;
}

export interface HttpRecord {
  readonly protocol: HttpProtocol;
  /** The head as it went upstream; `originalPath` as it came. */
  readonly request: RequestHead;
  readonly originalPath: string;
  /** 0: none was sent. */
  readonly status: number;
  readonly responseFields: Fields | undefined;
  readonly trailers: Fields | undefined;
  readonly grpcStatus: string | undefined;
  readonly requestMessages: number;
  readonly responseMessages: number;
  /** The matched route's decorator: the span's name. */
  readonly operation?: string | undefined;
  readonly traceId?: string | undefined;
}
