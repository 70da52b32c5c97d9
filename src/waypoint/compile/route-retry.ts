/** RetryPolicy as plain data; the router decides by it. */
import {
  RetryPolicy_RetryBackOffSchema,
  type RetryPolicy as RetryPolicyMessage,
  RetryPolicySchema,
} from "../../shared/wire/gen/envoy/config/route/v3/route_components_pb.js";
import { PreviousPrioritiesConfigSchema } from "../../shared/wire/gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.js";
import type { RetryPolicy } from "../model/route.ts";
import { milliseconds, positiveMs, typeOf, unpackAs } from "./cluster-values.ts";
import { compileHeaderMatcher } from "./matchers.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";

const policyFields = {
  used: [
    "retry_on",
    "num_retries",
    "per_try_timeout",
    "per_try_idle_timeout",
    "retry_priority",
    "retry_host_predicate",
    "host_selection_retry_max_attempts",
    "retriable_status_codes",
    "retry_back_off",
    "retriable_headers",
  ],
};

/** Envoy's defaults. */
const BACKOFF_BASE_MS = 25;

export function compileRetryPolicy(
  policy: RetryPolicyMessage,
  path: Path,
  notes: Notes,
): RetryPolicy {
  checkFields(policy, RetryPolicySchema, path, notes, policyFields);
  return {
    on: compileRetryOn(policy.retryOn, at(path, "retry_on"), notes),
    retriableStatuses: policy.retriableStatusCodes,
    retriableHeaders: policy.retriableHeaders.map((one, index) =>
      compileHeaderMatcher(one, item(path, "retriable_headers", index), notes),
    ),
    attempts: policy.numRetries ?? 1,
    perTryTimeoutMs: milliseconds(policy.perTryTimeout, 0),
    perTryIdleTimeoutMs: milliseconds(policy.perTryIdleTimeout, 0),
    ...backoff(policy, at(path, "retry_back_off"), notes),
    avoidPreviousHosts: avoidsPreviousHosts(policy, path),
    // Envoy tries once where nothing is said.
    hostSelectionAttempts: Number(policy.hostSelectionRetryMaxAttempts) || 1,
    previousPriorities: previousPriorities(policy, at(path, "retry_priority")),
  };
}

const conditions: ReadonlySet<string> = new Set([
  "5xx",
  "gateway-error",
  "reset",
  "reset-before-request",
  "connect-failure",
  "envoy-ratelimited",
  "retriable-4xx",
  "refused-stream",
  "retriable-status-codes",
  "retriable-headers",
  "http3-post-connect-failure",
  "cancelled",
  "deadline-exceeded",
  "internal",
  "resource-exhausted",
  "unavailable",
]);

/** Envoy reads past what it does not know; so do we, and say so. Empty tokens are common: ",5xx". */
function compileRetryOn(text: string, path: Path, notes: Notes): ReadonlySet<string> {
  const on = new Set<string>();
  for (const token of text.split(",").map((one) => one.trim())) {
    if (token === "") continue;
    if (conditions.has(token)) on.add(token);
    else notes.decorates(path, `"${token}" is no retry condition`);
  }
  return on;
}

const backoffFields = { used: ["base_interval", "max_interval"] };

function backoff(
  { retryBackOff }: RetryPolicyMessage,
  path: Path,
  notes: Notes,
): Pick<RetryPolicy, "backoffBaseMs" | "backoffMaxMs"> {
  if (retryBackOff === undefined)
    return { backoffBaseMs: BACKOFF_BASE_MS, backoffMaxMs: BACKOFF_BASE_MS * 10 };
  checkFields(retryBackOff, RetryPolicy_RetryBackOffSchema, path, notes, backoffFields);
  const base = positiveMs(retryBackOff.baseInterval, BACKOFF_BASE_MS, at(path, "base_interval"));
  const max = milliseconds(retryBackOff.maxInterval, base * 10);
  if (max < base) throw new CompileError(at(path, "max_interval"), "is shorter than base_interval");
  return { backoffBaseMs: base, backoffMaxMs: max };
}

const PREVIOUS_HOSTS = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate";

function avoidsPreviousHosts({ retryHostPredicate }: RetryPolicyMessage, path: Path): boolean {
  for (const [index, { name, configType }] of retryHostPredicate.entries()) {
    const type = configType.case === "typedConfig" ? typeOf(configType.value) : "";
    if (type !== PREVIOUS_HOSTS)
      throw new CompileError(item(path, "retry_host_predicate", index), `${name} is not supported`);
  }
  return retryHostPredicate.length > 0;
}

function previousPriorities(
  { retryPriority }: RetryPolicyMessage,
  path: Path,
): RetryPolicy["previousPriorities"] {
  if (retryPriority === undefined) return undefined;
  const { configType } = retryPriority;
  const config = unpackAs(
    configType.case === "typedConfig" ? configType.value : undefined,
    PreviousPrioritiesConfigSchema,
    at(path, "typed_config"),
  );
  return config.updateFrequency || 1;
}
