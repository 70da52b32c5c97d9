/** Routes as plain data (wire/waypoint.md section 5); compiled by compile/routes.ts, evaluated by routing/. */
import type { Fraction, HeaderMatcher, MetadataMatcher, QueryMatcher, Regex } from "./matchers.ts";

/** Made by routing/table.ts, which adds the indexes. */
export interface RouteTable {
  readonly name: string;
  readonly virtualHosts: readonly VirtualHost[];
  readonly maxDirectResponseBodyBytes: number;
  readonly hosts: HostIndex;
}

export interface VirtualHost {
  readonly name: string;
  /** Exact, `*.suffix`, `prefix.*` or `*`, lower-case. */
  readonly domains: readonly string[];
  readonly routes: readonly Route[];
  /** For many routes: those that can match by the path's first segment. Undefined: look at them one after the other. */
  readonly segments: SegmentIndex | undefined;
}

/** Domains in the order in which Envoy prefers them: exact, longest suffix, longest prefix, any. */
export interface HostIndex {
  readonly exact: ReadonlyMap<string, VirtualHost>;
  /** `*.example.com` as `.example.com`, longest first. */
  readonly suffixes: readonly (readonly [suffix: string, host: VirtualHost])[];
  readonly prefixes: readonly (readonly [prefix: string, host: VirtualHost])[];
  readonly any: VirtualHost | undefined;
  /** The port of the authority does not count. */
  readonly ignorePort: boolean;
}

/** Positions in `routes`, ascending. */
export interface SegmentIndex {
  /** Routes that only a path with exactly this first segment can match. */
  readonly bySegment: ReadonlyMap<string, readonly number[]>;
  readonly others: readonly number[];
}

export type PathMatcher =
  | { readonly kind: "any" }
  | { readonly kind: "prefix"; readonly value: string; readonly caseSensitive: boolean }
  | { readonly kind: "exact"; readonly value: string; readonly caseSensitive: boolean }
  | { readonly kind: "separated-prefix"; readonly value: string; readonly caseSensitive: boolean }
  | { readonly kind: "regex"; readonly regex: Regex }
  | { readonly kind: "template"; readonly template: UriTemplate }
  | { readonly kind: "connect" };

export interface UriTemplate {
  readonly source: string;
  matches(path: string): boolean;
}

/** What a request must be for a route, or for a rule of jwt_authn. */
export interface RouteMatch {
  readonly path: PathMatcher;
  readonly headers: readonly HeaderMatcher[];
  readonly query: readonly QueryMatcher[];
  readonly metadata: readonly MetadataMatcher[];
  /** match.grpc: only requests with content-type application/grpc. */
  readonly grpcOnly: boolean;
  readonly fraction: Fraction | undefined;
}

export interface Route extends RouteMatch {
  readonly name: string;
  readonly action: RouteAction;
  readonly requestHeaders: HeaderMutations;
  readonly responseHeaders: HeaderMutations;
  readonly decoratorOperation: string | undefined;
  /** Where the route came from: path of the VirtualService, for tools and `why`. */
  readonly origin: string | undefined;
  /** By filter name: fault, cors. Compiled by the filter's own compiler. */
  readonly perFilter: ReadonlyMap<string, unknown>;
}

/** A value with Envoy's `%...%` operators, split once (routing/format.ts). */
export interface HeaderFormat {
  readonly source: string;
  readonly parts: readonly (string | FormatOperator)[];
}

/** `%REQ(x-user?x-id):8%`: operator REQ, arguments x-user and x-id, at most 8 characters. */
export interface FormatOperator {
  readonly operator: string;
  readonly arguments: readonly string[];
  readonly maxLength: number | undefined;
}

export interface HeaderMutation {
  readonly name: string;
  readonly value: HeaderFormat;
  readonly mode: "append-or-add" | "add-if-absent" | "overwrite-or-add" | "overwrite-if-exists";
  readonly keepEmptyValue: boolean;
}

export interface HeaderMutations {
  readonly set: readonly HeaderMutation[];
  readonly remove: readonly string[];
  /** Of the next level (virtual host, table): evaluated on what these have left. */
  readonly next?: HeaderMutations;
}

export type RouteAction =
  | { readonly kind: "forward"; readonly forward: Forward }
  | { readonly kind: "redirect"; readonly redirect: Redirect }
  | { readonly kind: "direct"; readonly status: number; readonly body: string }
  /** Matched, but says nothing that can be done: Envoy answers 404. */
  | { readonly kind: "none" };

export interface Forward {
  readonly clusters: ClusterChoice;
  /** Status when the cluster does not exist: 503, 404 or 500. */
  readonly clusterNotFoundStatus: number;
  /** 0: no limit. */
  readonly timeoutMs: number;
  /** Undefined: the listener's. */
  readonly idleTimeoutMs: number | undefined;
  /** Undefined: grpc-timeout is not looked at. 0: unlimited. */
  readonly maxGrpcTimeoutMs: number | undefined;
  readonly pathRewrite:
    | { readonly kind: "none" }
    | { readonly kind: "prefix"; readonly replacement: string }
    | { readonly kind: "regex"; readonly regex: Regex; readonly substitution: string };
  /** `auto`: the endpoint's hostname, known when it is picked. */
  readonly hostRewrite:
    | { readonly kind: "none" }
    | { readonly kind: "literal"; readonly value: string }
    | { readonly kind: "header"; readonly header: string }
    | { readonly kind: "path-regex"; readonly regex: Regex; readonly substitution: string }
    | { readonly kind: "auto" };
  readonly appendXForwardedHost: boolean;
  readonly retry: RetryPolicy | undefined;
  readonly hashPolicy: readonly HashPolicy[];
  readonly mirrors: readonly Mirror[];
  /** Upgrade types this route allows or forbids beyond the listener's. */
  readonly upgrades: ReadonlyMap<string, boolean>;
  readonly internalRedirect:
    | {
        readonly maxRedirects: number;
        readonly statuses: readonly number[];
        readonly allowCrossScheme: boolean;
      }
    | undefined;
}

export type ClusterChoice =
  | {
      readonly kind: "one";
      readonly cluster: string;
      /** What choosing gives, made once. */
      readonly chosen: { readonly cluster: string; readonly weighted: undefined };
    }
  | {
      readonly kind: "weighted";
      readonly total: number;
      readonly clusters: readonly WeightedCluster[];
    }
  | { readonly kind: "header"; readonly header: string };

export interface WeightedCluster {
  /** "" when a header names it. */
  readonly cluster: string;
  readonly clusterHeader: string | undefined;
  readonly weight: number;
  readonly requestHeaders: HeaderMutations;
  readonly responseHeaders: HeaderMutations;
  readonly hostRewrite: string | undefined;
}

export interface Redirect {
  readonly status: 301 | 302 | 303 | 307 | 308;
  readonly scheme: string | undefined;
  readonly httpsRedirect: boolean;
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly path:
    | { readonly kind: "none" }
    | { readonly kind: "full"; readonly path: string }
    | { readonly kind: "prefix"; readonly replacement: string }
    | { readonly kind: "regex"; readonly regex: Regex; readonly substitution: string };
  readonly stripQuery: boolean;
}

export interface RetryPolicy {
  /** Tokens of retry_on; unknown and empty ones are kept out. */
  readonly on: ReadonlySet<string>;
  readonly retriableStatuses: readonly number[];
  readonly retriableHeaders: readonly HeaderMatcher[];
  readonly attempts: number;
  /** 0: the route's timeout only. */
  readonly perTryTimeoutMs: number;
  readonly perTryIdleTimeoutMs: number;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  readonly avoidPreviousHosts: boolean;
  readonly hostSelectionAttempts: number;
  /** previous_priorities' update_frequency. */
  readonly previousPriorities: number | undefined;
}

export type HashPolicy = { readonly terminal: boolean } & (
  | {
      readonly kind: "header";
      readonly name: string;
      readonly rewrite?: { readonly regex: Regex; readonly substitution: string };
    }
  | {
      readonly kind: "cookie";
      readonly name: string;
      readonly ttlMs: number | undefined;
      readonly path: string;
      readonly attributes: readonly (readonly [string, string])[];
    }
  | { readonly kind: "source-ip" }
  | { readonly kind: "query"; readonly name: string }
);

export interface Mirror {
  readonly cluster: string;
  readonly fraction: Fraction | undefined;
  readonly traceSampled: boolean | undefined;
  /** Envoy appends "-shadow" to the host unless told otherwise. */
  readonly appendShadowSuffix: boolean;
}
