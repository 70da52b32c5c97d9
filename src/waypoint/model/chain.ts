/** What a destination leads to (wire/waypoint.md sections 3.3 to 3.5); compiled by compile/main-listener.ts. */
import type { Cidr } from "../../shared/net/cidr.ts";
import type { HttpFilter, NetworkFilter } from "../filters/filter.ts";
import type { AccessLog, StatsConfig, TracingConfig } from "../telemetry/config.ts";
import type { HashPolicy, RouteTable } from "./route.ts";

/** Destination → chain, as the matcher tree of main_internal says. Built once per listener update. */
export interface ChainMatcher {
  /** `ip` in its canonical text; `authority` is the CONNECT's, for hostname authorities. */
  match(destination: {
    readonly ip: string;
    readonly port: number;
    readonly authority: string;
  }): ChainChoice;
  /** Whether the TLS inspector looks at connections to this port: the SNI is known then. */
  inspectsTls(port: number): boolean;
  readonly inspection: {
    /** 0: waits for ever. */
    readonly timeoutMs: number;
    readonly onTimeout: "close" | "continue";
  };
}

export type ChainChoice =
  | { readonly kind: "chain"; readonly chain: Chain }
  /** Decided by the first octets: HTTP if they look like HTTP/1.x or the HTTP/2 preface, else the other. */
  | {
      readonly kind: "sniff";
      readonly http: Chain;
      /** Whether HTTP/1.0 counts as HTTP; it goes to the other chain where the configuration does not name it. */
      readonly http10: boolean;
      readonly other: Chain | undefined;
    }
  /** Envoy closes the connection with flag NR. */
  | { readonly kind: "none" };

export type Chain = HttpChain | TcpChain;

export interface HttpChain {
  readonly kind: "http";
  /** `inbound-vip|80|http|reviews.shop.svc.cluster.local`. */
  readonly name: string;
  /** Unchanged by an update that gives the same bytes: connections on it go on undisturbed. */
  readonly routes: RouteTable;
  readonly filters: readonly HttpFilter[];
  readonly http: HttpSettings;
  readonly accessLogs: readonly AccessLog[];
  readonly tracing: TracingConfig | undefined;
  readonly stats: StatsConfig | undefined;
}

export interface HttpSettings {
  readonly codec: "auto" | "http1" | "http2";
  readonly serverName: string;
  readonly serverHeader: "overwrite" | "append-if-absent" | "pass-through";
  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  readonly escapedSlashes: "keep" | "reject" | "unescape-redirect" | "unescape-forward";
  readonly underscoresInNames: "allow" | "reject" | "drop";
  readonly generateRequestId: boolean;
  readonly preserveRequestId: boolean;
  readonly alwaysSetRequestId: boolean;
  /** Upgrade types in lower case: websocket. */
  readonly upgrades: ReadonlySet<string>;
  readonly acceptHttp10: boolean;
  readonly preserveHeaderCase: boolean;
  readonly maxHeadBytes: number;
  readonly maxHeaders: number;
  readonly maxConcurrentStreams: number;
  readonly http2: {
    /** Undefined: ours. */
    readonly streamWindowBytes: number | undefined;
    readonly connectionWindowBytes: number | undefined;
    /** Extended CONNECT (RFC 8441). */
    readonly allowConnect: boolean;
    /** 0: no PINGs. */
    readonly pingIntervalMs: number;
    readonly pingTimeoutMs: number;
  };
  /** 0 switches each off. */
  readonly streamIdleTimeoutMs: number;
  readonly connectionIdleTimeoutMs: number;
  readonly maxConnectionDurationMs: number;
  readonly maxStreamDurationMs: number;
  readonly requestTimeoutMs: number;
  readonly requestHeadersTimeoutMs: number;
  readonly drainTimeoutMs: number;
  readonly proxy100Continue: boolean;
  readonly appendXForwardedPort: boolean;
  readonly forwardClientCert:
    | "sanitize"
    | "forward-only"
    | "append-forward"
    | "sanitize-set"
    | "always-forward-only";
  readonly suppressEnvoyHeaders: boolean;
  /** The connection's address is the client's, whatever x-forwarded-for says. */
  readonly useRemoteAddress: boolean;
  /** x-forwarded-for stays as it is where the connection's address counts. */
  readonly skipXffAppend: boolean;
  /** Addresses of clients that may instruct the proxy by x-envoy- fields; empty: nobody may. */
  readonly internalRanges: readonly Cidr[];
}

export interface TcpChain {
  readonly kind: "tcp";
  readonly name: string;
  readonly filters: readonly NetworkFilter[];
  readonly clusters: {
    readonly total: number;
    readonly clusters: readonly { readonly cluster: string; readonly weight: number }[];
  };
  readonly hashPolicy: readonly HashPolicy[];
  readonly idleTimeoutMs: number;
  readonly maxConnectionDurationMs: number;
  readonly accessLogs: readonly AccessLog[];
  readonly stats: StatsConfig | undefined;
}
