/** Starts, carries on and ends the trace of a request. */
import type { RequestHead } from "../../http/message.ts";
import type { TracingConfig, TracingProvider } from "../config.ts";
import { printFormat } from "../log/format.ts";
import type { StreamRecord } from "../record.ts";
import type { RequestTrace } from "../request-telemetry.ts";
import {
  type Extracted,
  extractB3,
  extractW3c,
  injectB3,
  injectW3c,
  type TraceContext,
} from "./context.ts";
import { randomId } from "./ids.ts";
import type { Span } from "./span.ts";
import { hasFailed, spanTags } from "./span-tags.ts";

/** Of a request whose chain is traced. */
export interface ActiveTrace extends RequestTrace {
  readonly config: TracingConfig;
  /** Undefined: no provider, or what the client sent is no context: headers pass as they are. */
  readonly context: TraceContext | undefined;
  readonly shared: boolean;
  /** The client names the operation itself. */
  readonly operation: string | undefined;
}

/** The name of spans that nothing names: a waypoint's traffic comes in. */
const UNNAMED = "ingress";

function extract(provider: TracingProvider, head: RequestHead): Extracted {
  if (provider.kind === "opentelemetry") return extractW3c(head.fields);
  const b3 = extractB3(head.fields);
  const isOpen = b3.kind === "none" && b3.sampled === undefined;
  return provider.w3c && isOpen ? extractW3c(head.fields) : b3;
}

function rootContext(provider: TracingProvider): TraceContext {
  const spanId = randomId(8);
  const is128 = provider.kind === "opentelemetry" || provider.traceId128;
  // Zipkin's roots have one id for the trace (its lower half) and the span.
  const traceId =
    provider.kind === "opentelemetry" ? randomId(16) : `${is128 ? randomId(8) : ""}${spanId}`;
  return { traceId, spanId, parentId: undefined, sampled: undefined, state: undefined };
}

/** `traced`: what the sampling decision says; it holds unless the client's context says otherwise. */
export function startTrace(
  config: TracingConfig,
  traced: boolean,
  head: RequestHead,
  operation: string | undefined,
): ActiveTrace {
  const { provider } = config;
  if (provider === undefined) return untraced(config, operation);
  const always = provider.kind === "opentelemetry" && provider.sampler === "always-on";
  const extracted = extract(provider, head);
  // A broken context is left as it is, and nobody's span hangs on it.
  if (extracted.kind === "invalid") return untraced(config, operation);
  if (extracted.kind !== "context") {
    const sampled = always || (extracted.sampled ?? traced);
    const context = rootContext(provider);
    return { config, sampled, traceId: context.traceId, context, shared: false, operation };
  }
  const { context: from } = extracted;
  const sampled = always || (from.sampled ?? traced);
  const shared = provider.kind === "zipkin" && provider.sharedSpanContext;
  const context = shared ? from : { ...from, spanId: randomId(8), parentId: from.spanId };
  return { config, sampled, traceId: context.traceId, context, shared, operation };
}

function untraced(config: TracingConfig, operation: string | undefined): ActiveTrace {
  return {
    config,
    sampled: false,
    traceId: undefined,
    context: undefined,
    shared: false,
    operation,
  };
}

/** Puts the trace's headers into the head that goes upstream. */
export function injectTrace(trace: ActiveTrace, head: RequestHead): void {
  const { config, context, sampled } = trace;
  if (context === undefined || config.provider === undefined || !config.propagate) return;
  if (config.provider.kind === "opentelemetry") {
    injectW3c(head.fields, context, sampled);
    return;
  }
  injectB3(head.fields, context, sampled);
  if (config.provider.w3c) injectW3c(head.fields, context, sampled);
}

/** Undefined: nobody wants it. */
export function finishTrace(trace: ActiveTrace, record: StreamRecord): Span | undefined {
  const { config, context, sampled, shared } = trace;
  if (context === undefined || !sampled) return undefined;
  const configured = config.operation && printFormat(config.operation, record, "");
  return {
    traceId: context.traceId,
    spanId: context.spanId,
    parentId: context.parentId,
    state: context.state,
    name: configured || trace.operation || record.http?.operation || UNNAMED,
    startWallMs: record.startWallMs,
    durationMs: record.durationMs,
    tags: spanTags(config, record),
    failed: hasFailed(record),
    shared,
  };
}
