/** What the waypoint tells of requests: metrics and spans. */
import { STATS_PORT } from "../../../world/mesh.ts";
import type { Scene } from "../../scene.ts";
import { eventually, expect, type Stage } from "../../stage.ts";
import { ask, attempt, burst, expectAll, PUSH_DEADLINE_MS, withObjects } from "./helpers.ts";
import { traceEverything } from "./objects.ts";

/** The value of the series that has all these labels; 0 when there is none. */
async function requestsCounted(
  stage: Stage,
  labels: Readonly<Record<string, string>>,
): Promise<number> {
  let sum = 0;
  for (const { pod } of stage.waypoints.running) {
    const url = `http://${stage.pod(pod).ip}:${STATS_PORT}/stats/prometheus`;
    const text = await (await fetch(url)).text();
    for (const line of text.split("\n")) {
      if (!line.startsWith("istio_requests_total{")) continue;
      const matches = Object.entries(labels).every(([name, value]) =>
        line.includes(`${name}="${value}"`),
      );
      if (matches) sum += Number(line.slice(line.lastIndexOf(" ") + 1));
    }
  }
  return sum;
}

export const waypointMetrics: Scene = {
  name: "waypoint-metrics",
  title: "The waypoint counts requests by who asked whom, and how it went",
  play: async (stage) => {
    const labels = {
      reporter: "waypoint",
      source_workload: "web",
      source_workload_namespace: "shop",
      source_principal: "spiffe://cluster.local/ns/shop/sa/web",
      destination_principal: "spiffe://cluster.local/ns/shop/sa/catalog",
      destination_service: "catalog.shop.svc.cluster.local",
      destination_service_name: "catalog",
      destination_service_namespace: "shop",
      request_protocol: "http",
      response_code: "200",
      connection_security_policy: "mutual_tls",
    };
    const before = await requestsCounted(stage, labels);
    expectAll(await burst(stage, 50, { path: "/counted" }));
    let counted = 0;
    await eventually(
      () => `${counted} of 50 requests were counted`,
      3_000,
      async () => {
        counted = (await requestsCounted(stage, labels)) - before;
        return counted === 50 || undefined;
      },
    );
    return `istio_requests_total{reporter="waypoint",source_workload="web",destination_service="${labels.destination_service}",response_code="200",...} grew by 50`;
  },
};

interface Span {
  readonly traceId: string;
  readonly id: string;
  readonly parentId?: string;
  readonly kind?: string;
  readonly name: string;
  readonly duration?: number;
  readonly tags?: Readonly<Record<string, string>>;
}

const PATH = "/traced";
const TRACE_ID = "463ac35c9f6413ad48485a3953bb6124";
const PARENT_ID = "a2fb4a1d1a96d312";

async function collected(stage: Stage): Promise<readonly Span[]> {
  const { requests } = await stage.app("legacy").call("seen", { path: "/api/v2/spans" });
  return requests.flatMap(({ body }) => JSON.parse(body) as readonly Span[]);
}

export const waypointTrace: Scene = {
  name: "waypoint-trace",
  title: "The waypoint continues a trace, and its spans arrive at the collector",
  play: (stage) =>
    withObjects(stage, [traceEverything], async () => {
      const b3 = { "x-b3-traceid": TRACE_ID, "x-b3-spanid": PARENT_ID, "x-b3-sampled": "1" };
      const span = await eventually("no span arrived", PUSH_DEADLINE_MS, async () => {
        // A few: spans leave in batches.
        for (let round = 0; round < 6; round++) await attempt(stage, { path: PATH, headers: b3 });
        const spans = await collected(stage);
        return spans.find(({ tags }) => tags?.["http.url"]?.endsWith(PATH));
      });
      expect(span.traceId === TRACE_ID, `the span is of the trace ${span.traceId}`);
      expect(span.parentId === PARENT_ID, `its parent is ${span.parentId}`);
      const { greeting } = await ask(stage, { path: PATH, headers: b3 });
      const passedOn = greeting?.headers["x-b3-traceid"];
      expect(passedOn === TRACE_ID, `the application got the trace ${passedOn}`);
      const { name, duration = 0, tags = {} } = span;
      return `trace ${TRACE_ID}: ${name}, ${duration / 1_000} ms, ${tags["http.method"]} ${tags["http.status_code"]}, upstream ${tags["upstream_cluster.name"] ?? tags["upstream_cluster"]}`;
    }),
};
