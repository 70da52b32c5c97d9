/** A failure, told to those who ask: outlier detection, and the client. */
import type { LocalReply, ResponseFlag } from "../http/message.ts";
import type { AttemptOutcome } from "../upstream/upstream.ts";
import { type Failure, flagOf, resetBody, resetDetails, statusOf } from "./resets.ts";

export function outcomeOf(failure: Failure): AttemptOutcome {
  const local = failure.kind === "connection-failure" || failure.kind === "connection-timeout";
  return { kind: local ? "local-origin-failure" : "reset" };
}

export function noEndpoint(flag: ResponseFlag): LocalReply {
  if (flag === "UO") return failureReply({ kind: "overflow" }, false);
  return {
    status: 503,
    body: "no healthy upstream",
    details: "no_healthy_upstream",
    flags: [flag],
  };
}

export function failureReply(failure: Failure, retried: boolean): LocalReply {
  const reply = {
    status: statusOf(failure),
    body: resetBody(failure, retried),
    details: resetDetails(failure, false),
    flags: [flagOf(failure)],
  };
  if (failure.kind !== "overflow") return reply;
  return { ...reply, fields: [["x-envoy-overloaded", "true"]] };
}
