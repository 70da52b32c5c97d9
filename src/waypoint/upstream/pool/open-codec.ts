/** The waypoint's own codecs over a connection. */
import type { Clock } from "../../../shared/base/clock.ts";
import { defaultHttp1ClientSettings, Http1Client } from "../../http/http1/client.ts";
import { Http2Client } from "../../http/http2/client.ts";
import { http2ClientSettings } from "../../http/http2/settings.ts";
import { openingOf, openTransport } from "../../http/transport.ts";
import type { OpenCodec } from "./codecs.ts";

export function createOpenCodec(clock: Clock): OpenCodec {
  return (protocol, stream, settings, events) => {
    const transport = openTransport(openingOf(stream), clock);
    const client =
      protocol === "http2"
        ? new Http2Client(transport, http2ClientSettings(settings), clock, events)
        : new Http1Client(transport, defaultHttp1ClientSettings, events);
    client.start();
    return client;
  };
}
