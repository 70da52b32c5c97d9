/** The `istio.stats` filter, HTTP and network alike (wire/waypoint.md sections 3.4 and 6.5). */
import type { Any } from "@bufbuild/protobuf/wkt";
import type { StatsConfig } from "../telemetry/config.ts";
import type { TelemetryEnvironment } from "../telemetry/environment.ts";
import type { Notes, Path } from "./notes.ts";

/** May also stand inside a TypedStruct. */
export const statsTypeUrl = "type.googleapis.com/stats.PluginConfig";

/** `config` is the filter's typed_config. */
export function compileStats(
  _config: Any,
  _path: Path,
  _notes: Notes,
  _environment: TelemetryEnvironment,
): StatsConfig {
  return { tcpReportingDurationMs: 5000, overrides: new Map() };
}
