/** Fields of HTTP/2 settings that both sides of a proxy take or read past. */
import {
  type KeepaliveSettings,
  KeepaliveSettingsSchema,
} from "../../shared/wire/gen/envoy/config/core/v3/protocol_pb.js";
import { at, checkFields, type Notes, type Path } from "./notes.ts";

export const http2Fields = {
  used: [
    "max_concurrent_streams",
    "initial_stream_window_size",
    "initial_connection_window_size",
    "allow_connect",
    "connection_keepalive",
  ],
  decorative: [
    "hpack_table_size",
    "max_outbound_frames",
    "max_outbound_control_frames",
    "max_consecutive_inbound_frames_with_empty_payload",
    "max_inbound_priority_frames_per_stream",
    "max_inbound_window_update_frames_per_data_frame_sent",
    "override_stream_error_on_invalid_http_message",
    "use_oghttp2_codec",
  ],
};

/** Jitter and the extra PING of an idle connection only say when exactly a PING goes. */
const keepaliveFields = {
  used: ["interval", "timeout"],
  decorative: ["interval_jitter", "connection_idle_interval"],
};

/** Refuses what `connection_keepalive` of the settings at `path` cannot mean here. */
export function checkKeepalive(
  keepalive: KeepaliveSettings | undefined,
  path: Path,
  notes: Notes,
): void {
  if (keepalive === undefined) return;
  const place = at(path, "connection_keepalive");
  checkFields(keepalive, KeepaliveSettingsSchema, place, notes, keepaliveFields);
}
