/** Retries of a route, from a rule's wish or the reference's default. */
import type { RetrySpec } from "../../../shared/objects/kinds/virtual-service.ts";
import type { RetryPolicySchema } from "../../../shared/wire/gen/envoy/config/route/v3/route_components_pb.js";
import { PreviousHostsPredicateSchema } from "../../../shared/wire/gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js";
import { PreviousPrioritiesConfigSchema } from "../../../shared/wire/gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.js";
import { durationOf, type Init, pack } from "./wire.ts";

export type RetryPolicyInit = Init<typeof RetryPolicySchema>;

const DEFAULT_CONDITIONS =
  "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
const DEFAULT_RETRIES = 2;
const HOST_SELECTION_ATTEMPTS = 5;

const previousHosts = {
  name: "envoy.retry_host_predicates.previous_hosts",
  configType: { case: "typedConfig", value: pack(PreviousHostsPredicateSchema) },
} as const;

const previousPriorities = {
  name: "envoy.retry_priorities.previous_priorities",
  configType: {
    case: "typedConfig",
    value: pack(PreviousPrioritiesConfigSchema, { updateFrequency: 2 }),
  },
} as const;

/** Undefined when there shall be none. A hashed choice would be the same host again, and must be allowed to be. */
export function retryPolicy(
  spec: RetrySpec | undefined,
  hashed: boolean,
): RetryPolicyInit | undefined {
  const common = {
    hostSelectionRetryMaxAttempts: BigInt(HOST_SELECTION_ATTEMPTS),
    retryHostPredicate: hashed ? [] : [previousHosts],
  };
  if (spec === undefined)
    return { ...common, retryOn: DEFAULT_CONDITIONS, numRetries: DEFAULT_RETRIES };
  if (spec.attempts <= 0) return undefined;
  const { perTryTimeout, retryIgnorePreviousHosts: ignorePrevious, backoff } = spec;
  return {
    ...common,
    numRetries: spec.attempts,
    ...conditions(spec.retryOn),
    ...(perTryTimeout === undefined ? {} : { perTryTimeout: durationOf(perTryTimeout) }),
    ...(ignorePrevious === undefined
      ? {}
      : { retryHostPredicate: ignorePrevious ? [previousHosts] : [] }),
    ...(spec.retryRemoteLocalities === true ? { retryPriority: previousPriorities } : {}),
    ...(backoff === undefined ? {} : { retryBackOff: { baseInterval: durationOf(backoff) } }),
  };
}

/** Numbers among the conditions are status codes. */
function conditions(
  text: string | undefined,
): Pick<RetryPolicyInit, "retryOn" | "retriableStatusCodes"> {
  if (text === undefined || text === "") return { retryOn: DEFAULT_CONDITIONS };
  const parts = text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
  const codes = parts.filter(isStatusCode);
  const named = parts.filter((part) => !isStatusCode(part)).join(",");
  const implied = codes.length > 0 && !named.includes("retriable-status-codes");
  return {
    // With codes alone the reference's list starts with a comma.
    retryOn: implied ? `${named},retriable-status-codes` : named,
    retriableStatusCodes: codes.map(Number),
  };
}

/** Those that the registry of RFC 9110 section 16.2 had names for; other numbers stay words, as in the reference. */
function isStatusCode(part: string): boolean {
  const code = /^\d{3}$/.test(part) ? Number(part) : 0;
  return (
    (code >= 100 && code <= 103) ||
    (code >= 200 && code <= 208) ||
    code === 226 ||
    (code >= 300 && code <= 308 && code !== 306) ||
    (code >= 400 && code <= 418) ||
    (code >= 421 && code <= 431 && code !== 427 && code !== 430) ||
    code === 451 ||
    (code >= 500 && code <= 511 && code !== 509)
  );
}
