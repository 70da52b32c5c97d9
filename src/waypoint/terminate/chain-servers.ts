/** What serves a connection once its chain is known: the seam between this folder and the codecs. */
import type { DownstreamInfo } from "../http/stream.ts";
import type { Opening } from "../http/transport.ts";
import type { HttpChain, TcpChain } from "../model/chain.ts";

/** A connection that is being served. */
export interface Served {
  /** Takes nothing new where its protocol can say so, and ends with what is under way. */
  drain(): void;
  /** Ends at once. */
  abort(details: string): void;
  /** Settles when it is over; never rejects. */
  readonly done: Promise<void>;
}

export interface ChainServers {
  http(
    chain: HttpChain,
    codec: "http1" | "http2",
    opening: Opening,
    downstream: DownstreamInfo,
  ): Served;
  tcp(chain: TcpChain, opening: Opening, downstream: DownstreamInfo): Served;
  /** No chain takes this destination: logged with flag NR, as the reference does. */
  unmatched(downstream: DownstreamInfo): void;
}
