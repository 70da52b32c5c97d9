/** The waypoint's telemetry, put together: told of streams, it counts, logs, traces and remembers. */
import { hostname } from "node:os";
import type { AdminHandler } from "../../shared/admin/http-server.ts";
import type { Clock } from "../../shared/base/clock.ts";
import { describeError } from "../../shared/base/errors.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import type { UpstreamCalls } from "../filters/upstream-calls.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import type { HttpChain, HttpSettings } from "../model/chain.ts";
import type { TracingConfig } from "./config.ts";
import { DecisionRing, type DecisionRingOptions } from "./decisions/ring.ts";
import { decisionRoutes } from "./decisions/routes.ts";
import type { ProxyIdentity, TelemetryEnvironment } from "./environment.ts";
import { IstioMetrics } from "./metrics/istio-metrics.ts";
import type { RequestTelemetry, RequestTrace } from "./request-telemetry.ts";
import { LogSinks } from "./sinks.ts";
import { Exporters } from "./tracing/exporters.ts";
import { randomRequestId } from "./tracing/ids.ts";
import { traceReason, withTraceReason } from "./tracing/request-id.ts";
import { decideTrace } from "./tracing/sampling.ts";
import { type ActiveTrace, finishTrace, injectTrace, startTrace } from "./tracing/tracer.ts";

export interface TelemetryDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly proxy: Omit<ProxyIdentity, "hostname"> & { readonly hostname?: string };
  /** Of this program. */
  readonly version: string;
  readonly variable: (name: string) => string | undefined;
  /** To collectors. */
  readonly calls: UpstreamCalls;
  /** Of histograms; undefined: Envoy's. */
  readonly buckets?: readonly number[] | undefined;
  readonly decisions?: DecisionRingOptions | undefined;
}

export interface Telemetry {
  readonly requests: RequestTelemetry;
  /** For the compilers. */
  readonly environment: TelemetryEnvironment;
  readonly decisions: DecisionRing;
  /** Prometheus' text format, without an end mark. */
  renderMetrics(): string;
  /** `/debug/decisions`. */
  readonly routes: Readonly<Record<string, AdminHandler>>;
  /** Sends the last spans and writes the last lines. */
  close(): Promise<void>;
}

export function createTelemetry(deps: TelemetryDeps): Telemetry {
  const { clock, random, log, version } = deps;
  const proxy: ProxyIdentity = { ...deps.proxy, hostname: deps.proxy.hostname ?? hostname() };
  const sinks = new LogSinks(clock, (path, reason) =>
    log.error("cannot open the access log", { path, error: describeError(reason) }),
  );
  const metrics = new IstioMetrics(clock, {
    istioVersion: proxy.istioVersion,
    buckets: deps.buckets,
  });
  const exporters = new Exporters({ clock, log, version, calls: deps.calls, proxy });
  const decisions = new DecisionRing(deps.decisions);
  return {
    requests: requestTelemetry(metrics, exporters, decisions, random),
    environment: {
      proxy,
      sink: (path) => sinks.sink(path),
      variable: deps.variable,
      random,
    },
    decisions,
    renderMetrics: () => metrics.render() + exporters.render(),
    routes: decisionRoutes(decisions),
    close: async () => {
      metrics.close();
      await exporters.close();
      sinks.close();
    },
  };
}

function requestTelemetry(
  metrics: IstioMetrics,
  exporters: Exporters,
  decisions: DecisionRing,
  random: () => number,
): RequestTelemetry {
  return {
    start: ({ http, tracing }, head) => {
      identify(http, head);
      return tracing && begin(tracing, head, random);
    },
    injectUpstream: (trace, head) => injectTrace(trace as ActiveTrace, head),
    answer,
    watch: ({ stats }, source) => {
      if (stats !== undefined) metrics.watch(stats, source);
    },
    finish: (chain, record, trace, source) => {
      if (chain.stats !== undefined) metrics.finished(chain.stats, record, source);
      for (const accessLog of chain.accessLogs) accessLog.write(record);
      if (trace?.sampled === true) {
        const active = trace as ActiveTrace;
        const span = finishTrace(active, record);
        if (span !== undefined) exporters.export(active.config, span);
      }
      for (const { counter } of record.decisions) if (counter !== undefined) counter.count++;
      decisions.add(record);
    },
  };
}

/** What a client brings stays: a waypoint is not the mesh's edge. */
function identify({ generateRequestId }: HttpSettings, head: RequestHead): void {
  if (generateRequestId && !head.fields.has("x-request-id"))
    head.fields.append("x-request-id", randomRequestId());
}

function begin(config: TracingConfig, head: RequestHead, random: () => number): RequestTrace {
  const { fields } = head;
  const requestId = fields.get("x-request-id");
  const facts = {
    requestId,
    clientTraceId: fields.has("x-client-trace-id"),
    forced: fields.has("x-envoy-force-trace"),
  };
  const reason = decideTrace(config, facts, random);
  if (config.packTraceReason && config.sampleByRequestId && requestId !== undefined)
    if (traceReason(requestId) !== reason)
      fields.set("x-request-id", withTraceReason(requestId, reason));
  const operation = fields.get("x-envoy-decorator-operation") || undefined;
  if (operation !== undefined) fields.remove("x-envoy-decorator-operation");
  return startTrace(config, reason !== "none", head, operation);
}

function answer(
  { http }: HttpChain,
  request: RequestHead,
  response: ResponseHead,
  trace: RequestTrace | undefined,
  operation: string | undefined,
): void {
  if (http.alwaysSetRequestId || request.fields.has("x-envoy-force-trace")) {
    const id = request.fields.get("x-request-id");
    if (id !== undefined) response.fields.set("x-request-id", id);
  }
  // The client's proxy may name its own span after the route, unless the client has named ours.
  if (trace === undefined || operation === undefined || operation === "") return;
  if ((trace as ActiveTrace).operation === undefined)
    response.fields.set("x-envoy-decorator-operation", operation);
}
