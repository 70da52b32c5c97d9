/** Client codecs as pools see them: bytes in, a connection for requests out. */
import type { StreamEndpoint } from "../../../shared/hbone/tunnel.ts";
import type { ClientConnectionEvents, HttpClientConnection } from "../../http/stream.ts";
import type { UpstreamHttp } from "../../model/cluster.ts";

export type WireProtocol = "http1" | "http2";

/** Takes over the connection and starts to read from it. */
export type OpenCodec = (
  protocol: WireProtocol,
  stream: StreamEndpoint,
  settings: UpstreamHttp,
  events: ClientConnectionEvents,
) => HttpClientConnection;
