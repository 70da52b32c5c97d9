/** The place of a request in a trace, and how it travels in headers: B3 in both forms, W3C trace context. */
import type { Fields } from "../../http/message.ts";

export interface TraceContext {
  /** 16 or 32 hexadecimal digits. */
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | undefined;
  /** Undefined: whoever came before left it open. */
  readonly sampled: boolean | undefined;
  /** W3C's list of vendors, passed on as it is. */
  readonly state: string | undefined;
}

export type Extracted =
  | { readonly kind: "context"; readonly context: TraceContext }
  /** Without ids, but with a word on sampling: `b3: 0`. */
  | { readonly kind: "none"; readonly sampled: boolean | undefined }
  | { readonly kind: "invalid" };

const TRACE_ID = /^(?:[0-9a-f]{16}|[0-9a-f]{32})$/i;
const SPAN_ID = /^[0-9a-f]{16}$/i;
const ZEROS = /^0+$/;

function isId(text: string, form: RegExp): boolean {
  return form.test(text) && !ZEROS.test(text);
}

function b3Flag(flag: string | undefined): boolean | undefined {
  if (flag === undefined) return undefined;
  if (flag === "1" || flag === "d") return true;
  return flag === "0" ? false : undefined;
}

/** `{trace}-{span}-{sampled}-{parent}`, or the flag alone. */
function extractB3Single(b3: string): Extracted {
  if (b3.length === 1) return { kind: "none", sampled: b3Flag(b3) };
  const [traceId = "", spanId = "", flag, parentId, ...more] = b3.split("-");
  const valid =
    more.length === 0 &&
    isId(traceId, TRACE_ID) &&
    isId(spanId, SPAN_ID) &&
    (flag === undefined || /^[01d]$/.test(flag)) &&
    (parentId === undefined || isId(parentId, SPAN_ID));
  if (!valid) return { kind: "invalid" };
  return {
    kind: "context",
    context: {
      traceId: traceId.toLowerCase(),
      spanId: spanId.toLowerCase(),
      parentId: parentId?.toLowerCase(),
      sampled: b3Flag(flag),
      state: undefined,
    },
  };
}

export function extractB3(fields: Fields): Extracted {
  const single = fields.get("b3");
  if (single !== undefined) return extractB3Single(single);
  const flag = fields.get("x-b3-sampled");
  const sampled = flag === undefined ? undefined : flag === "1" || flag.toLowerCase() === "true";
  const traceId = fields.get("x-b3-traceid");
  const spanId = fields.get("x-b3-spanid");
  if (traceId === undefined || spanId === undefined) return { kind: "none", sampled };
  const parentId = fields.get("x-b3-parentspanid") || undefined;
  if (!isId(traceId, TRACE_ID) || !isId(spanId, SPAN_ID)) return { kind: "invalid" };
  if (parentId !== undefined && !SPAN_ID.test(parentId)) return { kind: "invalid" };
  return {
    kind: "context",
    context: {
      traceId: traceId.toLowerCase(),
      spanId: spanId.toLowerCase(),
      parentId: parentId?.toLowerCase(),
      sampled,
      state: undefined,
    },
  };
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;

/** W3C Trace Context, section 3.2: later versions may be longer, version ff never is. */
export function extractW3c(fields: Fields): Extracted {
  const header = fields.get("traceparent");
  if (header === undefined) return { kind: "none", sampled: undefined };
  const [, version, traceId = "", spanId = "", flags = ""] = TRACEPARENT.exec(header) ?? [];
  const valid =
    version !== undefined &&
    version !== "ff" &&
    (version !== "00" || header.length === 55) &&
    isId(traceId, TRACE_ID) &&
    isId(spanId, SPAN_ID);
  if (!valid) return { kind: "invalid" };
  return {
    kind: "context",
    context: {
      traceId,
      spanId,
      parentId: undefined,
      sampled: (Number.parseInt(flags, 16) & 1) === 1,
      state: fields.joined("tracestate"),
    },
  };
}

export function injectB3(fields: Fields, context: TraceContext, sampled: boolean): void {
  // The single form comes first for whoever reads both, so that it must not contradict.
  fields.remove("b3");
  fields.set("x-b3-traceid", context.traceId);
  fields.set("x-b3-spanid", context.spanId);
  if (context.parentId === undefined) fields.remove("x-b3-parentspanid");
  else fields.set("x-b3-parentspanid", context.parentId);
  fields.set("x-b3-sampled", sampled ? "1" : "0");
}

export function injectW3c(fields: Fields, context: TraceContext, sampled: boolean): void {
  const traceId = context.traceId.padStart(32, "0");
  fields.set("traceparent", `00-${traceId}-${context.spanId}-${sampled ? "01" : "00"}`);
  if (context.state !== undefined) fields.set("tracestate", context.state);
}
