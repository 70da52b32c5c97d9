/** Whether a request is traced: Envoy's order of questions (wire/waypoint.md section 7.5). */
import type { TracingConfig } from "../config.ts";
import { idFraction, type TraceReason, traceReason } from "./request-id.ts";

export interface SamplingFacts {
  /** Undefined: there is none. */
  readonly requestId: string | undefined;
  readonly clientTraceId: boolean;
  readonly forced: boolean;
}

const STEPS = 10_000;

/** A percentage in steps of a hundredth, as Envoy keeps it. */
function within(fraction: number, percent: number): boolean {
  return fraction * STEPS < Math.trunc(percent * 100);
}

/** What the id says stands; else the client, a service, or chance decide; the overall share limits all of them. */
export function decideTrace(
  config: TracingConfig,
  facts: SamplingFacts,
  random: () => number,
): TraceReason {
  if (!config.sampleByRequestId) return "sampled";
  const { requestId } = facts;
  // The id decides, so that all proxies on a request's way come to the same answer.
  const fraction = idFraction(requestId, STEPS);
  if (fraction === undefined) return "none";
  const reason = firstReason(config, facts, fraction, random);
  return reason !== "none" && !within(fraction, config.overallSamplingPercent) ? "none" : reason;
}

function firstReason(
  config: TracingConfig,
  { requestId, clientTraceId, forced }: SamplingFacts,
  fraction: number,
  random: () => number,
): TraceReason {
  const known = traceReason(requestId);
  if (known !== "none") return known;
  if (clientTraceId && within(random(), config.clientSamplingPercent)) return "client-forced";
  if (forced) return "service-forced";
  return within(fraction, config.randomSamplingPercent) ? "sampled" : "none";
}
