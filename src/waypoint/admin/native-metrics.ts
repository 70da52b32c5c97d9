/** What stands on `/stats/prometheus` beside the mesh's metrics: Envoy's own counters of configuration, server and policy. */
import type { Metrics } from "../../shared/telemetry/metrics.ts";
import { tagged } from "./stat-tags.ts";
import type { StatsSource } from "./stats-page.ts";

/** The two parts as one page. OpenMetrics wants an end mark; scrapers of the older format read past it as a comment. */
export function metricsPage(mesh: () => string, stats: StatsSource): Pick<Metrics, "render"> {
  return { render: () => Promise.resolve(`${mesh()}${native(stats())}# EOF\n`) };
}

/** The series of one name must stand together. */
function native(stats: ReadonlyMap<string, number>): string {
  const families = new Map<string, string>();
  for (const [stat, value] of stats) {
    const { name, labels } = tagged(stat);
    const metric = `envoy_${name.replaceAll(/[^a-zA-Z0-9_]/g, "_")}`;
    const before = families.get(metric) ?? `# TYPE ${metric} ${typeOf(stat)}\n`;
    families.set(metric, `${before}${metric}${labels} ${value}\n`);
  }
  return [...families.values()].join("");
}

function typeOf(stat: string): "counter" | "gauge" {
  return /\.(update_(attempt|success|rejected)|(shadow_)?(allowed|denied))$/.test(stat)
    ? "counter"
    : "gauge";
}
