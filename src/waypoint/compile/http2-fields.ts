/** Fields of HTTP/2 settings that both sides of a proxy take or read past. */

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
export const keepaliveFields = {
  used: ["interval", "timeout"],
  decorative: ["interval_jitter", "connection_idle_interval"],
};
