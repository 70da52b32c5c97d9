/** The paths of the waypoint's operator ports (wire/waypoint.md section 1.7). */
import { type AdminHandler, jsonAnswer, textAnswer } from "../../shared/admin/http-server.ts";
import { readinessRoutes } from "../../shared/admin/readiness-server.ts";
import type { Readiness } from "../../shared/base/readiness.ts";
import { isLoopback, parseIp } from "../../shared/net/ip.ts";
import type { PrintResource } from "../xds/print-resource.ts";
import { certsView } from "./certs.ts";
import { clustersPage, type EndpointHealthOf } from "./clusters-page.ts";
import { configDump, type DumpSources } from "./config-dump.ts";
import type { Lifecycle } from "./server-state.ts";
import { type StatsSource, statsPage } from "./stats-page.ts";

export interface WaypointAdmin {
  readonly dump: DumpSources;
  readonly health: EndpointHealthOf;
  readonly lifecycle: Lifecycle;
  readonly stats: StatsSource;
  readonly prometheus: AdminHandler;
  readonly nowMs: () => number;
  readonly startedMs: number;
  /** GOAWAY to all clients; with `graceful` as with SIGTERM, but the process stays. */
  readonly drainListeners: () => void;
}

/** Loaded when somebody asks: requests never need the descriptions of all messages. */
async function loadPrinter(): Promise<PrintResource> {
  const [{ wireRegistry }, { resourcePrinter }] = await Promise.all([
    import("../xds/registry.ts"),
    import("../xds/print-resource.ts"),
  ]);
  return resourcePrinter(wireRegistry());
}

export function waypointRoutes(admin: WaypointAdmin): Readonly<Record<string, AdminHandler>> {
  const { dump, lifecycle } = admin;
  let loaded: Promise<PrintResource> | undefined;
  const printer = (): Promise<PrintResource> => {
    loaded ??= loadPrinter();
    return loaded;
  };
  return {
    "/config_dump": async ({ query }) => {
      const resource = query.get("resource") ?? undefined;
      const options = {
        endpoints: query.has("include_eds") || resource === "dynamic_endpoint_configs",
        resource,
      };
      return jsonAnswer(configDump(dump, options, await printer()));
    },
    "/clusters": clustersPage(dump.books, printer, admin.health),
    "/listeners": ({ query }) => {
      const names = [...dump.books.listeners.accepted.keys()].sort();
      return query.get("format") === "json"
        ? jsonAnswer({ listener_statuses: names.map((name) => ({ name })) })
        : textAnswer(200, names.map((name) => `${name}::${name}\n`).join(""));
    },
    "/stats": statsPage(admin.stats, admin.prometheus),
    "/stats/prometheus": admin.prometheus,
    "/certs": () => jsonAnswer(certsView(dump.secrets(), admin.nowMs())),
    "/server_info": () =>
      jsonAnswer({
        version: `ambit/${dump.version}`,
        state: lifecycle.state,
        uptime_current_epoch: `${Math.floor((admin.nowMs() - admin.startedMs) / 1000)}s`,
        uptime_all_epochs: `${Math.floor((admin.nowMs() - admin.startedMs) / 1000)}s`,
        command_line_options: { service_cluster: dump.node.cluster ?? "" },
        node: { ...dump.node },
      }),
    "/ready": () => {
      const { state } = lifecycle;
      return textAnswer(state === "LIVE" ? 200 : 503, `${state}\n`);
    },
    "/drain_listeners": ({ method }) => {
      if (method !== "POST") return textAnswer(405, "Invalid HTTP method\n");
      admin.drainListeners();
      return textAnswer(200, "OK\n");
    },
  };
}

/** 15021, and a part of 15020. A process that drains is not to get new clients. */
export function probeRoutes(
  readiness: Readiness,
  lifecycle: Lifecycle,
): Readonly<Record<string, AdminHandler>> {
  const ready = readinessRoutes(readiness)["/healthz/ready"];
  return {
    "/healthz/ready": (request) =>
      lifecycle.state === "DRAINING" || ready === undefined
        ? textAnswer(503, "draining\n")
        : ready(request),
  };
}

/** `/quitquitquit` on a port that is open to others: only this machine may. */
export function quitFromHere(quit: () => void): AdminHandler {
  return ({ method, remoteAddress }) => {
    if (!isHere(remoteAddress))
      return textAnswer(403, "Only requests from localhost are allowed\n");
    if (method !== "POST") return textAnswer(405, "Invalid HTTP method\n");
    quit();
    return textAnswer(200, "OK\n");
  };
}

function isHere(address: string | undefined): boolean {
  const ip = address === undefined ? undefined : parseIp(address);
  return ip !== undefined && isLoopback(ip);
}
