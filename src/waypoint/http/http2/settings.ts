/** What an HTTP/2 connection of either role announces and allows. */
import type { Setting } from "../../../shared/hbone/http2/frames.ts";
import { maxStreamId, minMaxFrameBytes, settingId } from "../../../shared/hbone/http2/frames.ts";
import type { HttpSettings } from "../../model/chain.ts";
import type { UpstreamHttp } from "../../model/cluster.ts";

export interface Http2Settings {
  /** Server: what we announce. Client: what we open at most, beside the peer's own limit. */
  readonly maxConcurrentStreams: number;
  /**
   * Receive windows; both follow delivery, so they bound what waits here for slow readers. A server's must not be below 65,535
   * (Envoy refuses that too): clients may send before they have read its SETTINGS.
   */
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  readonly maxFrameBytes: number;
  /** Decoded header list, as RFC 9113 section 6.5.2 counts it. */
  readonly maxHeadBytes: number;
  readonly maxHeaders: number;
  readonly underscoresInNames: "allow" | "reject" | "drop";
  /** Extended CONNECT (RFC 8441); Envoy's allow_connect. */
  readonly allowConnect: boolean;
  /** Interval of liveness PINGs; 0: none. */
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  /** 0 switches each off. */
  readonly connectionIdleTimeoutMs: number;
  readonly maxConnectionDurationMs: number;
  readonly requestHeadersTimeoutMs: number;
}

const common: Http2Settings = {
  maxConcurrentStreams: 1024,
  streamWindowBytes: 1024 * 1024,
  connectionWindowBytes: 16 * 1024 * 1024,
  maxFrameBytes: minMaxFrameBytes,
  maxHeadBytes: 60 * 1024,
  maxHeaders: 100,
  underscoresInNames: "allow",
  allowConnect: false,
  pingIntervalMs: 0,
  pingTimeoutMs: 20_000,
  connectionIdleTimeoutMs: 0,
  maxConnectionDurationMs: 0,
  requestHeadersTimeoutMs: 0,
};

export const defaultHttp2ClientSettings: Http2Settings = common;

export function http2ClientSettings({ http2 }: UpstreamHttp): Http2Settings {
  return {
    ...common,
    maxConcurrentStreams: Math.min(http2.maxConcurrentStreams, maxStreamId),
    streamWindowBytes: http2.streamWindowBytes ?? common.streamWindowBytes,
    connectionWindowBytes: http2.connectionWindowBytes ?? common.connectionWindowBytes,
    pingIntervalMs: http2.keepaliveIntervalMs,
    pingTimeoutMs: http2.keepaliveTimeoutMs,
  };
}

/** A peer may open so many streams at most, whatever the configuration says: Envoy's default is no limit at all. */
const mostStreams = 1024;

export function http2ServerSettings(settings: HttpSettings): Http2Settings {
  return {
    ...common,
    maxConcurrentStreams: Math.min(settings.maxConcurrentStreams || mostStreams, mostStreams),
    streamWindowBytes: settings.http2.streamWindowBytes ?? common.streamWindowBytes,
    connectionWindowBytes: settings.http2.connectionWindowBytes ?? common.connectionWindowBytes,
    allowConnect: settings.http2.allowConnect,
    pingIntervalMs: settings.http2.pingIntervalMs,
    pingTimeoutMs: settings.http2.pingTimeoutMs,
    maxHeadBytes: settings.maxHeadBytes,
    maxHeaders: settings.maxHeaders,
    underscoresInNames: settings.underscoresInNames,
    connectionIdleTimeoutMs: settings.connectionIdleTimeoutMs,
    maxConnectionDurationMs: settings.maxConnectionDurationMs,
    requestHeadersTimeoutMs: settings.requestHeadersTimeoutMs,
  };
}

export function announced(settings: Http2Settings, role: "client" | "server"): readonly Setting[] {
  const list: Setting[] = [
    [settingId.initialWindowSize, settings.streamWindowBytes],
    [settingId.maxHeaderListSize, settings.maxHeadBytes],
  ];
  if (settings.maxFrameBytes !== minMaxFrameBytes)
    list.push([settingId.maxFrameSize, settings.maxFrameBytes]);
  if (role === "client") list.push([settingId.enablePush, 0]);
  else list.push([settingId.maxConcurrentStreams, settings.maxConcurrentStreams]);
  if (role === "server" && settings.allowConnect) list.push([settingId.enableConnectProtocol, 1]);
  return list;
}
