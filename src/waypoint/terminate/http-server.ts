/** HTTP connections inside tunnels: a codec over the connection, and for each request the chain as it is in force then. */
import type { Clock } from "../../shared/base/clock.ts";
import type { ExchangeDeps } from "../exchange/deps.ts";
import { handleRequests } from "../exchange/serve.ts";
import { Http1Server } from "../http/http1/server.ts";
import { Http2Server } from "../http/http2/server.ts";
import { http2ServerSettings } from "../http/http2/settings.ts";
import type { DownstreamInfo } from "../http/stream.ts";
import { type Opening, openTransport } from "../http/transport.ts";
import type { Chain, HttpChain } from "../model/chain.ts";
import type { Served } from "./chain-servers.ts";

export interface HttpServing {
  readonly exchange: ExchangeDeps;
  /** In force now, by name. */
  readonly chain: (name: string) => Chain | undefined;
  readonly clock: Clock;
}

export function serveHttp(
  serving: HttpServing,
  first: HttpChain,
  codec: "http1" | "http2",
  opening: Opening,
  downstream: DownstreamInfo,
): Served {
  const { clock, exchange } = serving;
  let known = first;
  const current = (): HttpChain => {
    const now = serving.chain(first.name);
    // A chain that was removed answers what is under way: its connections are told to end.
    if (now?.kind === "http") known = now;
    return known;
  };
  const owner = { ...handleRequests(exchange, current), connection: downstream, clock };
  const transport = openTransport(opening, clock);
  const server =
    codec === "http2"
      ? new Http2Server(transport, http2ServerSettings(first.http), owner)
      : new Http1Server(transport, first.http, owner);
  server.start();
  return {
    drain: () => server.drain(),
    abort: (detail) => server.destroy({ kind: "local", detail }),
    done: server.closed,
  };
}
