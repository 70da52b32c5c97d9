/** What compiling listeners needs from the owners of filters and telemetry; given in, so that tests can do without them. */
import type { Any } from "@bufbuild/protobuf/wkt";
import type { AccessLog as WireAccessLog } from "../../shared/wire/gen/envoy/config/accesslog/v3/accesslog_pb.js";
import type { Filter } from "../../shared/wire/gen/envoy/config/listener/v3/listener_components_pb.js";
import type {
  HttpConnectionManager,
  HttpFilter as HttpFilterMessage,
} from "../../shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { FilterEnvironment } from "../filters/environment.ts";
import type { HttpFilter, NetworkFilter } from "../filters/filter.ts";
import type { AccessLog, StatsConfig, TracingConfig } from "../telemetry/config.ts";
import type { TelemetryEnvironment } from "../telemetry/environment.ts";
import { compileAccessLog } from "./access-log.ts";
import {
  type CompiledFilter,
  compileHttpFilter,
  compileNetworkFilter,
  compilePerRoute,
} from "./filters/registry.ts";
import type { Notes, Path } from "./notes.ts";
import { compileStats } from "./stats.ts";
import { compileTracing } from "./tracing.ts";

export interface CompileHooks {
  /** `statPrefix`: of the connection manager, for the names of counters. */
  httpFilter(
    message: HttpFilterMessage,
    path: Path,
    notes: Notes,
    statPrefix: string,
  ): CompiledFilter<HttpFilter>;
  networkFilter(message: Filter, path: Path, notes: Notes): CompiledFilter<NetworkFilter>;
  /** One entry of typed_per_filter_config. */
  perRoute(filterName: string, config: Any, path: Path, notes: Notes): unknown;
  accessLogs(logs: readonly WireAccessLog[], path: Path, notes: Notes): readonly AccessLog[];
  tracing(manager: HttpConnectionManager, path: Path, notes: Notes): TracingConfig | undefined;
  stats(config: Any, path: Path, notes: Notes): StatsConfig;
}

/** The waypoint's own. */
export function compileHooks(
  filters: FilterEnvironment,
  telemetry: TelemetryEnvironment,
): CompileHooks {
  return {
    httpFilter: (message, path, notes, statPrefix) => {
      const counters = filters.counters.below(`http.${statPrefix}`);
      return compileHttpFilter(message, path, notes, { ...filters, counters });
    },
    networkFilter: (message, path, notes) => compileNetworkFilter(message, path, notes, filters),
    perRoute: (filterName, config, path, notes) =>
      compilePerRoute(filterName, config, path, notes, filters),
    accessLogs: (logs, path, notes) => compileAccessLog(logs, path, notes, telemetry),
    tracing: (manager, path, notes) => compileTracing(manager, path, notes, telemetry),
    stats: (config, path, notes) => compileStats(config, path, notes, telemetry),
  };
}
