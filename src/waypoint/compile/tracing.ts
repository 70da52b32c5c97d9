/** Tracing of an HTTP connection manager (wire/waypoint.md section 6.5). */
import type { HttpConnectionManager } from "../../shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { TracingConfig } from "../telemetry/config.ts";
import type { TelemetryEnvironment } from "../telemetry/environment.ts";
import type { Notes, Path } from "./notes.ts";

/** Reads `tracing` and `request_id_extension`; `path` names the connection manager. */
export function compileTracing(
  _manager: HttpConnectionManager,
  _path: Path,
  _notes: Notes,
  _environment: TelemetryEnvironment,
): TracingConfig | undefined {
  return undefined;
}
