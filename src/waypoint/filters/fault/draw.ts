/** Which fault a request gets: pure but for the draw. */
import type { RequestHead } from "../../http/message.ts";
import type { Fraction } from "../../model/matchers.ts";
import { inFraction, matchesHeader } from "../../routing/match.ts";
import type { FaultAbort, FaultDelay, FaultPlan } from "./plan.ts";

export type Fault =
  | { readonly kind: "http"; readonly status: number }
  | { readonly kind: "grpc"; readonly status: number };

export function applies(plan: FaultPlan, head: RequestHead): boolean {
  if (plan.downstreamNodes.size > 0) {
    const node = head.fields.get("x-envoy-downstream-service-node");
    if (node === undefined || !plan.downstreamNodes.has(node)) return false;
  }
  return plan.headers.every((matcher) => matchesHeader(matcher, head));
}

/** Undefined: no delay. */
export function drawDelayMs(
  delay: FaultDelay | undefined,
  head: RequestHead,
  random: () => number,
): number | undefined {
  if (delay === undefined) return undefined;
  if (delay.kind === "fixed")
    return inFraction(delay.fraction, random()) ? delay.delayMs : undefined;
  const delayMs = wholeNumber(head, "x-envoy-fault-delay-request");
  if (delayMs === undefined || delayMs === 0) return undefined;
  const fraction = asked(delay.fraction, head, "x-envoy-fault-delay-request-percentage");
  return inFraction(fraction, random()) ? delayMs : undefined;
}

/** Undefined: no abort. */
export function drawAbort(
  abort: FaultAbort | undefined,
  head: RequestHead,
  random: () => number,
): Fault | undefined {
  if (abort === undefined) return undefined;
  if (abort.kind !== "header")
    return inFraction(abort.fraction, random())
      ? { kind: abort.kind, status: abort.status }
      : undefined;
  const fault = askedFault(head);
  if (fault === undefined) return undefined;
  const fraction = asked(abort.fraction, head, "x-envoy-fault-abort-request-percentage");
  return inFraction(fraction, random()) ? fault : undefined;
}

function askedFault(head: RequestHead): Fault | undefined {
  const status = wholeNumber(head, "x-envoy-fault-abort-request");
  if (status !== undefined && status >= 200 && status < 600) return { kind: "http", status };
  const grpcStatus = wholeNumber(head, "x-envoy-fault-abort-grpc-request");
  return grpcStatus === undefined ? undefined : { kind: "grpc", status: grpcStatus };
}

/** The request may ask for less than what is configured, never for more. */
function asked(configured: Fraction, head: RequestHead, name: string): Fraction {
  const numerator = wholeNumber(head, name);
  if (numerator === undefined) return configured;
  return { ...configured, numerator: Math.min(numerator, configured.numerator) };
}

const MAX_DIGITS = 9;

function wholeNumber(head: RequestHead, name: string): number | undefined {
  const text = head.fields.get(name);
  if (text === undefined || text.length > MAX_DIGITS || !/^\d+$/.test(text)) return undefined;
  return Number(text);
}
