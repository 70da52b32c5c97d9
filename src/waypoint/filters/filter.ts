/** Filters: functions in a fixed order with one signature, so that a user's own can stand among them. */
import type { Clock } from "../../shared/base/clock.ts";
import type { LocalReply, RequestHead, ResponseFlag, ResponseHead } from "../http/message.ts";
import type { DownstreamInfo } from "../http/stream.ts";
import type { Route } from "../model/route.ts";
import type { FormatFacts } from "../routing/format.ts";
import type { DecisionCounter } from "./counters.ts";

/** JSON-like values of dynamic metadata. */
export type MetadataValue =
  | null
  | boolean
  | number
  | string
  | readonly MetadataValue[]
  | { readonly [key: string]: MetadataValue };

/** One request on its way; made once per request, passed to everything. Header formats read it as it is. */
export interface RequestContext extends FormatFacts {
  readonly downstream: DownstreamInfo;
  readonly head: RequestHead;
  readonly clock: Clock;
  /** [0, 1) */
  readonly random: () => number;
  /** The matched route, found when first asked for; undefined: none matches. */
  readonly route: Route | undefined;
  /** What the route was chosen by may have changed: choose again when asked next. */
  clearRoute(): void;
  /** Namespace (a filter's name) → values. Written by jwt_authn and rbac, read by matchers, logs and tags. */
  readonly metadata: ReadonlyMap<string, { readonly [key: string]: MetadataValue }>;
  setMetadata(namespace: string, values: { readonly [key: string]: MetadataValue }): void;
  addFlag(flag: ResponseFlag): void;
  /** Who decided what, in order; `why`, the log and the decision ring print it. */
  note(decision: FilterDecision): void;
  /**
   * Up to this many octets of the request's body, for filters that must see it before it goes on; the body still reaches
   * the upstream. `complete` is false when there is more. Rejects when the client goes away.
   */
  readonly bufferBody: (
    maxBytes: number,
  ) => Promise<{ readonly bytes: Buffer; readonly complete: boolean }>;
  /** Aborts when the request is over, whatever ended it. */
  readonly over: AbortSignal;
}

/** What a filter says about a request. */
export type FilterVerdict =
  | { readonly kind: "continue" }
  /** Answer here; nothing further runs on the request, the answer passes the filters before this one. */
  | { readonly kind: "reply"; readonly reply: LocalReply };

export interface HttpFilter {
  /** As configured, e.g. "envoy.filters.http.rbac". */
  readonly name: string;
  /** Clusters that it asks, kept and waited for like those of routes. */
  readonly clusters?: readonly string[];
  /** Synchronous wherever possible: a promise costs a turn. */
  onRequest?(context: RequestContext, endStream: boolean): FilterVerdict | Promise<FilterVerdict>;
  /** May change the answer's head. Runs in reverse order. */
  onResponse?(context: RequestContext, head: ResponseHead): void;
}

export const continueRequest: FilterVerdict = { kind: "continue" };

export interface FilterDecision {
  readonly filter: string;
  /** "allowed", "denied", "shadow-denied", "jwt-rejected", "route-matched", … */
  readonly outcome: string;
  /** For a person: policy and rule, field, or what was missing. */
  readonly reason: string;
  /** Counts the decision once the stream it was made for is over; a dry run of the filters counts nothing. */
  readonly counter?: DecisionCounter | undefined;
}

/** The same for a TCP connection, before anything goes upstream. */
export interface ConnectionContext {
  readonly downstream: DownstreamInfo;
  readonly clock: Clock;
  readonly random: () => number;
  readonly metadata: ReadonlyMap<string, { readonly [key: string]: MetadataValue }>;
  setMetadata(namespace: string, values: { readonly [key: string]: MetadataValue }): void;
  note(decision: FilterDecision): void;
  readonly over: AbortSignal;
}

export type ConnectionVerdict =
  | { readonly kind: "continue" }
  /** Close the connection with these flags and details. */
  | { readonly kind: "close"; readonly flags: readonly ResponseFlag[]; readonly details: string };

export interface NetworkFilter {
  readonly name: string;
  readonly clusters?: readonly string[];
  onConnection(context: ConnectionContext): ConnectionVerdict | Promise<ConnectionVerdict>;
}
