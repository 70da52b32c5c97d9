/**
 * Sends finished spans in batches. One call is under way at a time; what comes while it lasts or while the collector is away
 * waits in a bounded queue, and what does not fit is dropped and counted. Nothing here can hold up a request.
 */
import type { Clock, Timer } from "../../../shared/base/clock.ts";
import type { UpstreamCalls } from "../../filters/upstream-calls.ts";
import type { TracingProvider } from "../config.ts";
import { type OtlpResource, otlpRequest } from "./otlp.ts";
import type { Span } from "./span.ts";
import { type LocalEndpoint, zipkinJson } from "./zipkin.ts";

export const MAX_WAITING = 4096;
const MAX_BATCH = 512;
const FLUSH_MS = 1000;
const MAX_ANSWER_BYTES = 65_536;

export interface ExportCounts {
  sent: number;
  dropped: number;
}

export interface ExporterDeps {
  readonly clock: Pick<Clock, "after">;
  readonly calls: UpstreamCalls;
  readonly endpoint: LocalEndpoint;
  readonly version: string;
  readonly counts: ExportCounts;
  /** Told when sending begins to fail, and when it works again. */
  readonly onChange: (cluster: string, problem: string | undefined) => void;
}

/** Undefined: the collector took them. */
type Send = (spans: readonly Span[]) => Promise<string | undefined>;

export class SpanExporter {
  readonly #deps: ExporterDeps;
  readonly #cluster: string;
  readonly #send: Send;
  #waiting: Span[] = [];
  #timer: Timer | undefined;
  #sending: Promise<void> | undefined;
  #failing = false;
  #closed = false;

  constructor(deps: ExporterDeps, provider: TracingProvider) {
    this.#deps = deps;
    this.#cluster =
      provider.kind === "zipkin" ? provider.collector.cluster : provider.export.collector.cluster;
    this.#send = provider.kind === "zipkin" ? zipkinSend(deps, provider) : otlpSend(deps, provider);
  }

  add(span: Span): void {
    if (this.#closed || this.#waiting.length >= MAX_WAITING) {
      this.#deps.counts.dropped++;
      return;
    }
    this.#waiting.push(span);
    if (this.#sending !== undefined) return;
    if (this.#waiting.length >= MAX_BATCH) this.#begin();
    else this.#timer ??= this.#deps.clock.after(FLUSH_MS, () => this.#begin());
  }

  /** Sends what is left; resolves when that has ended, well or not. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#sending;
    if (this.#waiting.length > 0) this.#begin();
    await this.#sending;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#deps.counts.dropped += this.#waiting.length;
    this.#waiting = [];
  }

  #begin(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const batch = this.#waiting.splice(0, MAX_BATCH);
    this.#sending = this.#send(batch).then((problem) => this.#sent(batch, problem));
  }

  #sent(batch: readonly Span[], problem: string | undefined): void {
    const { counts, onChange, clock } = this.#deps;
    this.#sending = undefined;
    if (problem === undefined) counts.sent += batch.length;
    else counts.dropped += batch.length;
    if ((problem !== undefined) !== this.#failing) {
      this.#failing = problem !== undefined;
      onChange(this.#cluster, problem);
    }
    if (this.#waiting.length === 0 || this.#closed) return;
    // A full batch goes on at once, unless the collector is away.
    const delayMs = problem === undefined && this.#waiting.length >= MAX_BATCH ? 0 : FLUSH_MS;
    this.#timer ??= clock.after(delayMs, () => this.#begin());
  }
}

function zipkinSend(
  { calls, endpoint }: ExporterDeps,
  { collector }: TracingProvider & { readonly kind: "zipkin" },
): Send {
  const { cluster, authority, path, timeoutMs, headers } = collector;
  return async (spans) => {
    const outcome = await calls.http({
      cluster,
      authority,
      timeoutMs,
      method: "POST",
      path,
      fields: [["content-type", "application/json"], ...headers],
      body: Buffer.from(zipkinJson(spans, endpoint)),
      maxAnswerBytes: MAX_ANSWER_BYTES,
    });
    return httpProblem(outcome);
  };
}

function otlpSend(
  deps: ExporterDeps,
  provider: TracingProvider & { readonly kind: "opentelemetry" },
): Send {
  const { calls, version } = deps;
  const resource: OtlpResource = {
    serviceName: provider.serviceName,
    version,
    attributes: provider.resource,
  };
  if (provider.export.kind === "http") {
    const { cluster, authority, path, timeoutMs, headers } = provider.export.collector;
    return async (spans) =>
      httpProblem(
        await calls.http({
          cluster,
          authority,
          timeoutMs,
          method: "POST",
          path,
          fields: [["content-type", "application/x-protobuf"], ...headers],
          body: otlpRequest(spans, resource),
          maxAnswerBytes: MAX_ANSWER_BYTES,
        }),
      );
  }
  const { cluster, authority, timeoutMs, metadata } = provider.export.collector;
  return async (spans) => {
    const outcome = await calls.unary({
      cluster,
      authority,
      timeoutMs,
      service: "opentelemetry.proto.collector.trace.v1.TraceService",
      method: "Export",
      metadata,
      message: otlpRequest(spans, resource),
      maxAnswerBytes: MAX_ANSWER_BYTES,
    });
    if (outcome.kind === "message") return undefined;
    return outcome.kind === "status"
      ? `gRPC status ${outcome.status}: ${outcome.message}`
      : `${outcome.reason}: ${outcome.detail}`;
  };
}

function httpProblem(outcome: Awaited<ReturnType<UpstreamCalls["http"]>>): string | undefined {
  if (outcome.kind === "failed") return `${outcome.reason}: ${outcome.detail}`;
  const { status } = outcome.answer;
  return status >= 200 && status < 300 ? undefined : `HTTP status ${status}`;
}
