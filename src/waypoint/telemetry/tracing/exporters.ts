/** One exporter for each collector that any chain names; chains come and go, and most have the same. */
import type { Clock } from "../../../shared/base/clock.ts";
import type { Logger } from "../../../shared/telemetry/logger.ts";
import type { UpstreamCalls } from "../../filters/upstream-calls.ts";
import type { TracingConfig } from "../config.ts";
import type { ProxyIdentity } from "../environment.ts";
import { CounterFamily, printLabel } from "../metrics/series.ts";
import { type ExportCounts, SpanExporter } from "./exporter.ts";
import type { Span } from "./span.ts";

export interface ExportersDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly version: string;
  readonly calls: UpstreamCalls;
  readonly proxy: ProxyIdentity;
}

export class Exporters {
  readonly #deps: ExportersDeps;
  readonly #counts: ExportCounts = { sent: 0, dropped: 0 };
  readonly #exporters = new Map<string, SpanExporter>();
  readonly #byConfig = new WeakMap<TracingConfig, SpanExporter>();

  constructor(deps: ExportersDeps) {
    this.#deps = deps;
  }

  export(config: TracingConfig, span: Span): void {
    const { provider } = config;
    if (provider === undefined) return;
    let exporter = this.#byConfig.get(config);
    if (exporter === undefined) {
      const key = JSON.stringify(provider);
      exporter = this.#exporters.get(key) ?? this.#create(provider);
      this.#exporters.set(key, exporter);
      this.#byConfig.set(config, exporter);
    }
    exporter.add(span);
  }

  render(): string {
    const { sent, dropped } = this.#counts;
    if (sent + dropped === 0) return "";
    const family = new CounterFamily("ambit_waypoint_spans_total");
    family.series(printLabel("outcome", "sent")).value = sent;
    family.series(printLabel("outcome", "dropped")).value = dropped;
    return family.render();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#exporters.values()].map((exporter) => exporter.close()));
    this.#exporters.clear();
  }

  #create(provider: NonNullable<TracingConfig["provider"]>): SpanExporter {
    const { clock, calls, version, log, proxy } = this.#deps;
    return new SpanExporter(
      {
        clock,
        calls,
        version,
        endpoint: { serviceName: proxy.nodeCluster, ip: proxy.ip },
        counts: this.#counts,
        onChange: (cluster, problem) => {
          if (problem === undefined) log.info("spans are sent again", { cluster });
          else log.warn("cannot send spans", { cluster, error: problem });
        },
      },
      provider,
    );
  }
}
