/** The four operator ports (wire/waypoint.md section 1.6): 15000, 15020, 15021 and 15090. */
import {
  type AdminHandler,
  type AdminServer,
  startAdminServer,
  textAnswer,
} from "../../shared/admin/http-server.ts";
import { indexRoute, operatorRoutes } from "../../shared/admin/operator-routes.ts";
import { statsRoutes } from "../../shared/admin/stats-routes.ts";
import type { Clock } from "../../shared/base/clock.ts";
import type { Readiness } from "../../shared/base/readiness.ts";
import type { LogFilter } from "../../shared/telemetry/logger.ts";
import type { WaypointConfig } from "../config.ts";
import type { DecisionCounters } from "../filters/counters.ts";
import type { OwnCertificate } from "../secrets/own-certificate.ts";
import type { Sessions } from "../terminate/sessions.ts";
import type { Catalog } from "../xds/catalog.ts";
import type { XdsCounters } from "../xds/counters.ts";
import type { StateHolder } from "../xds/state.ts";
import type { EndpointHealthOf } from "./clusters-page.ts";
import { metricsPage } from "./native-metrics.ts";
import { probeRoutes, quitFromHere, type WaypointAdmin, waypointRoutes } from "./routes.ts";
import type { Lifecycle } from "./server-state.ts";

export interface AdminDeps {
  readonly config: WaypointConfig;
  readonly clock: Clock;
  readonly version: string;
  readonly filter: LogFilter;
  readonly readiness: Readiness;
  readonly lifecycle: Lifecycle;
  readonly certificate: OwnCertificate;
  readonly catalog: { readonly books: Catalog<unknown, unknown>["books"] };
  readonly counters: XdsCounters;
  readonly state: StateHolder;
  readonly sessions: Sessions;
  readonly xds: { readonly connected: boolean };
  readonly engine: {
    readonly endpointHealth: EndpointHealthOf;
    readonly metrics: () => string;
    readonly decisionCounts: () => DecisionCounters["values"];
    /** Paths of telemetry and policy: decisions, why. */
    readonly adminRoutes: Readonly<Record<string, AdminHandler>>;
  };
}

function statsOf(deps: AdminDeps, startedMs: number): ReadonlyMap<string, number> {
  const { state, catalog, lifecycle, sessions, clock } = deps;
  const { main } = state.current;
  return new Map([
    ...deps.counters.values,
    ...deps.engine.decisionCounts(),
    ["cluster_manager.active_clusters", catalog.books.clusters.accepted.size],
    ["cluster_manager.warming_clusters", 0],
    ["listener_manager.total_listeners_active", catalog.books.listeners.accepted.size],
    ["listener_manager.total_filter_chains_active", main?.chains.size ?? 0],
    ["listener_manager.workers_started", deps.readiness.ready ? 1 : 0],
    ["control_plane.connected_state", deps.xds.connected ? 1 : 0],
    ["http.connect_terminate.downstream_cx_active", sessions.openSessions],
    ["server.state", lifecycle.number],
    ["server.live", lifecycle.state === "LIVE" ? 1 : 0],
    ["server.uptime", Math.floor((clock.wallMs() - startedMs) / 1000)],
    ["server.memory_allocated", process.memoryUsage.rss()],
  ]);
}

/** All four or none. */
export async function startAdminPorts(
  deps: AdminDeps,
  quit: () => void,
): Promise<readonly AdminServer[]> {
  const { config, clock, readiness, lifecycle } = deps;
  const startedMs = clock.wallMs();
  const stats = (): ReadonlyMap<string, number> => statsOf(deps, startedMs);
  const metrics = statsRoutes(metricsPage(deps.engine.metrics, stats));
  const prometheus = metrics["/stats/prometheus"] ?? (() => textAnswer(500, ""));
  const admin: WaypointAdmin = {
    dump: {
      node: config.node,
      version: deps.version,
      books: deps.catalog.books,
      secrets: () => deps.certificate.secrets.snapshot(),
    },
    health: deps.engine.endpointHealth,
    lifecycle,
    stats,
    prometheus,
    nowMs: () => clock.wallMs(),
    startedMs,
    drainListeners: () => {
      lifecycle.drain();
      deps.sessions.announce();
    },
  };
  const routes = {
    ...operatorRoutes({ filter: deps.filter, defaultFilter: config.logFilter, clock, quit }),
    ...waypointRoutes(admin),
    ...deps.engine.adminRoutes,
  };
  const probes = probeRoutes(readiness, lifecycle);
  const anyHost = config.ipv6Enabled ? ["::"] : ["0.0.0.0"];
  const loopback = config.ipv6Enabled ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
  const { ports } = config;
  return startAll([
    {
      name: "admin",
      hosts: loopback,
      port: ports.admin,
      routes: { ...indexRoute("ambit waypoint", routes), ...routes },
    },
    {
      name: "status",
      hosts: anyHost,
      port: ports.status,
      routes: { ...metrics, ...probes, "/quitquitquit": quitFromHere(quit) },
    },
    { name: "readiness", hosts: anyHost, port: ports.readiness, routes: probes },
    { name: "stats", hosts: anyHost, port: ports.stats, routes: metrics },
  ]);
}

async function startAll(
  plans: readonly Parameters<typeof startAdminServer>[0][],
): Promise<readonly AdminServer[]> {
  const servers: AdminServer[] = [];
  try {
    for (const plan of plans) servers.push(await startAdminServer(plan));
    return servers;
  } catch (thrown) {
    await Promise.all(servers.map((server) => server.close()));
    throw thrown;
  }
}
