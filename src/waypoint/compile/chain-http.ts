/** A filter chain that ends in an HTTP connection manager. */

import { RouterSchema } from "../../shared/wire/gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
} from "../../shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { HttpFilter } from "../filters/filter.ts";
import type { HttpChain } from "../model/chain.ts";
import type { StatsConfig } from "../telemetry/config.ts";
import { readConfig, type TypedConfig } from "./filters/typed-config.ts";
import type { CompileHooks } from "./hooks.ts";
import { compileHttpSettings } from "./http-settings.ts";
import { at, CompileError, item, type Notes, type Path } from "./notes.ts";
import { compileRoutes } from "./routes.ts";

export function compileHttpChain(
  name: string,
  config: TypedConfig,
  path: Path,
  notes: Notes,
  hooks: CompileHooks,
): HttpChain {
  const manager = readConfig(config, HttpConnectionManagerSchema, path);
  const { filters, stats, suppressEnvoyHeaders } = compileFilters(manager, path, notes, hooks);
  const http = compileHttpSettings(manager, suppressEnvoyHeaders, path, notes);
  const { routeSpecifier } = manager;
  if (routeSpecifier.case !== "routeConfig")
    throw new CompileError(
      path,
      `only an inline route_config is supported, not ${routeSpecifier.case ?? "none"}`,
    );
  return {
    kind: "http",
    name,
    routes: compileRoutes(routeSpecifier.value, at(path, "route_config"), notes, hooks),
    filters,
    http,
    accessLogs: hooks.accessLogs(manager.accessLog, at(path, "access_log"), notes),
    tracing: hooks.tracing(manager, path, notes),
    stats,
  };
}

interface Filters {
  readonly filters: readonly HttpFilter[];
  readonly stats: StatsConfig | undefined;
  readonly suppressEnvoyHeaders: boolean;
}

function compileFilters(
  manager: HttpConnectionManager,
  path: Path,
  notes: Notes,
  hooks: CompileHooks,
): Filters {
  const filters: HttpFilter[] = [];
  let stats: StatsConfig | undefined;
  let router: TypedConfig | undefined;
  for (const [index, message] of manager.httpFilters.entries()) {
    const inside = item(path, "http_filters", index);
    if (router !== undefined) throw new CompileError(inside, "stands behind the router");
    const compiled = hooks.httpFilter(message, inside, notes, manager.statPrefix);
    if (compiled.kind === "filter") filters.push(compiled.filter);
    else if (compiled.role === "router") router = compiled.config;
    else if (compiled.role === "stats" && message.configType.case === "typedConfig")
      stats = hooks.stats(message.configType.value, at(inside, "typed_config"), notes);
  }
  if (router === undefined) throw new CompileError(at(path, "http_filters"), "has no router");
  const { suppressEnvoyHeaders } = readConfig(router, RouterSchema, path);
  return { filters, stats, suppressEnvoyHeaders };
}
