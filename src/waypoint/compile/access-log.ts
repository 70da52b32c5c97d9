/** Access logs of a listener, an HTTP connection manager or a TCP proxy (wire/waypoint.md sections 6.5 and 7.4). */
import type { AccessLog as WireAccessLog } from "../../shared/wire/gen/envoy/config/accesslog/v3/accesslog_pb.js";
import type { AccessLog } from "../telemetry/config.ts";
import type { TelemetryEnvironment } from "../telemetry/environment.ts";
import type { Notes, Path } from "./notes.ts";

/** `path` names the field with the list. */
export function compileAccessLog(
  _logs: readonly WireAccessLog[],
  _path: Path,
  _notes: Notes,
  _environment: TelemetryEnvironment,
): readonly AccessLog[] {
  return [];
}
