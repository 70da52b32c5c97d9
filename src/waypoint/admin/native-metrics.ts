/** What stands on `/stats/prometheus` beside the mesh's metrics: Envoy's own counters of configuration and server. */
import type { Metrics } from "../../shared/telemetry/metrics.ts";
import type { StatsSource } from "./stats-page.ts";

/** The two parts as one page. OpenMetrics wants an end mark; scrapers of the older format read past it as a comment. */
export function metricsPage(mesh: () => string, stats: StatsSource): Pick<Metrics, "render"> {
  return { render: () => Promise.resolve(`${mesh()}${native(stats())}# EOF\n`) };
}

function native(stats: ReadonlyMap<string, number>): string {
  let text = "";
  for (const [name, value] of stats) {
    const metric = `envoy_${name.replaceAll(/[^a-zA-Z0-9_]/g, "_")}`;
    const type = /\.update_(attempt|success|rejected)$/.test(name) ? "counter" : "gauge";
    text += `# TYPE ${metric} ${type}\n${metric} ${value}\n`;
  }
  return text;
}
