/** When an attempt may be repeated: Envoy's RetryStateImpl as a decision (source/common/router/retry_state_impl.cc). */
import type { Fields, ResponseHead } from "../http/message.ts";
import type { RetryPolicy } from "../model/route.ts";
import { matchesFields, matchesHeaderValue } from "../routing/match.ts";
import { grpcStatusIn } from "./grpc.ts";
import type { Failure } from "./resets.ts";

const tokens: ReadonlySet<string> = new Set([
  "5xx",
  "gateway-error",
  "connect-failure",
  "envoy-ratelimited",
  "retriable-4xx",
  "refused-stream",
  "retriable-status-codes",
  "retriable-headers",
  "reset",
  "reset-before-request",
  "http3-post-connect-failure",
]);

const grpcTokens: ReadonlyMap<string, number> = new Map([
  ["cancelled", 1],
  ["deadline-exceeded", 4],
  ["resource-exhausted", 8],
  ["internal", 13],
  ["unavailable", 14],
]);

export interface RetryRules {
  readonly on: ReadonlySet<string>;
  readonly statuses: readonly number[];
  readonly policy: RetryPolicy | undefined;
  /** Retries, the first attempt not counted. */
  readonly retries: number;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
}

const defaultBackoffMs = 25;

/**
 * The route's policy with what the request asks for by headers; undefined: no retries. Those headers reach this place only
 * in requests from inside (exchange/request-headers.ts) and are taken out here.
 */
export function retryRules(
  policy: RetryPolicy | undefined,
  fields: Fields,
): RetryRules | undefined {
  const asked = mayAsk(fields) ? takeAsked(fields) : undefined;
  if (asked === undefined) return policy === undefined ? undefined : rulesOf(policy);
  return rules(policy, asked);
}

/** What nothing is asked of beyond the policy: made once. */
const known = new WeakMap<RetryPolicy, RetryRules | "none">();

function rulesOf(policy: RetryPolicy): RetryRules | undefined {
  let found = known.get(policy);
  if (found === undefined) {
    found = rules(policy, undefined) ?? "none";
    known.set(policy, found);
  }
  return found === "none" ? undefined : found;
}

function rules(policy: RetryPolicy | undefined, asked: Asked | undefined): RetryRules | undefined {
  const on = new Set([...(policy?.on ?? []), ...(asked?.on ?? [])]);
  if (on.size === 0) return undefined;
  const baseMs = policy?.backoffBaseMs ?? defaultBackoffMs;
  return {
    on,
    statuses: [...(policy?.retriableStatuses ?? []), ...(asked?.statuses ?? [])],
    policy,
    retries: asked?.retries ?? policy?.attempts ?? 1,
    backoffBaseMs: baseMs,
    backoffMaxMs: policy?.backoffMaxMs ?? baseMs * 10,
  };
}

interface Asked {
  readonly on: readonly string[];
  readonly statuses: readonly number[];
  readonly retries: number | undefined;
}

function mayAsk(fields: Fields): boolean {
  const { flat } = fields;
  for (let at = 0; at < flat.length; at += 2) if (flat[at]?.startsWith("x-envoy-")) return true;
  return false;
}

function takeAsked(fields: Fields): Asked | undefined {
  const on = [
    ...listed(fields.get("x-envoy-retry-on"), tokens),
    ...listed(fields.get("x-envoy-retry-grpc-on"), grpcTokens),
  ];
  const retries = fields.get("x-envoy-max-retries");
  const statuses = fields.get("x-envoy-retriable-status-codes");
  const asks = fields.has("x-envoy-retry-on") || fields.has("x-envoy-retry-grpc-on");
  for (const name of askNames) fields.remove(name);
  if (!asks && retries === undefined && statuses === undefined) return undefined;
  return {
    on,
    statuses: (statuses ?? "").split(",").map(Number).filter(Number.isInteger),
    retries: retries !== undefined && /^[0-9]{1,9}$/.test(retries) ? Number(retries) : undefined,
  };
}

const askNames = [
  "x-envoy-retry-on",
  "x-envoy-retry-grpc-on",
  "x-envoy-max-retries",
  "x-envoy-retriable-status-codes",
  "x-envoy-retriable-header-names",
];

function listed(
  list: string | undefined,
  names: { has(name: string): boolean },
): readonly string[] {
  return (list ?? "")
    .split(",")
    .map((token) => token.trim())
    .filter((token) => names.has(token));
}

export function retriesAnswer(rules: RetryRules, head: ResponseHead): boolean {
  const { on } = rules;
  const { status, fields } = head;
  if (fields.has("x-envoy-ratelimited")) return on.has("envoy-ratelimited");
  if (status >= 500 && status < 600 && on.has("5xx")) return true;
  if (status >= 502 && status <= 504 && on.has("gateway-error")) return true;
  if (status === 409 && on.has("retriable-4xx")) return true;
  if (rules.statuses.includes(status) && on.has("retriable-status-codes")) return true;
  if (on.has("retriable-headers") && hasRetriableHeader(rules, head)) return true;
  return retriesGrpc(on, grpcStatusIn(fields));
}

function hasRetriableHeader(rules: RetryRules, head: ResponseHead): boolean {
  return (rules.policy?.retriableHeaders ?? []).some((matcher) => {
    if (matcher.name === ":status") return matchesHeaderValue(matcher, String(head.status));
    return matchesFields(matcher, head.fields);
  });
}

function retriesGrpc(on: ReadonlySet<string>, status: number | undefined): boolean {
  if (status === undefined) return false;
  for (const [token, value] of grpcTokens) if (value === status && on.has(token)) return true;
  return false;
}

/** `begun`: something of the request has gone upstream. */
export function retriesFailure(rules: RetryRules, failure: Failure, begun: boolean): boolean {
  const { on } = rules;
  if (failure.kind === "overflow") return false;
  if (on.has("reset") || on.has("5xx") || on.has("gateway-error")) return true;
  if (!begun && on.has("reset-before-request")) return true;
  if (failure.kind === "refused") return on.has("refused-stream");
  if (failure.kind === "connection-failure" || failure.kind === "connection-timeout")
    return on.has("connect-failure");
  return false;
}

/** Full jitter: anything below the present step, which doubles up to the maximum. `retry` counts from 0. */
export function backoffMs(rules: RetryRules, retry: number, draw: number): number {
  const stepMs = Math.min(rules.backoffBaseMs * 2 ** Math.min(retry, 30), rules.backoffMaxMs);
  return draw * stepMs;
}
