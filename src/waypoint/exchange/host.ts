/** What the router needs of the exchange it works for. */

import type { RequestContext } from "../filters/filter.ts";
import type { Fields, LocalReply, ResponseFlag, ResponseHead } from "../http/message.ts";
import type { ServerStream } from "../http/stream.ts";
import type { HttpChain } from "../model/chain.ts";
import type { Forward } from "../model/route.ts";
import type { FormatFacts } from "../routing/format.ts";
import type { Clusters } from "../upstream/upstream.ts";
import type { Moments } from "./moments.ts";

/** Is its own facts for header formats. */
export interface RouterHost extends RequestContext, FormatFacts {
  readonly chain: HttpChain;
  readonly stream: ServerStream;
  readonly clusters: Clusters;
  readonly isGrpc: boolean;
  readonly moments: Moments;
  /** Milliseconds since the request began. */
  sinceStartMs(): number;
  /** For formats; set before the answer's head is worked on. */
  response: ResponseHead | undefined;
  /** Trace headers for the attempt that begins. */
  injectTrace(): void;
  interim(head: ResponseHead): void;
  /** The answer's head as the upstream gave it. */
  answer(head: ResponseHead, endStream: boolean): void;
  answerBody(bytes: Buffer, start: number, end: number): boolean;
  answerEnd(trailers: Fields | undefined): void;
  /** The last call of a router whose answer went through. */
  answered(details: string): void;
  /** Instead of an answer. The last call. */
  localReply(reply: LocalReply): void;
  /** The answer broke in its middle. The last call. */
  breakOff(flag: ResponseFlag, details: string): void;
  /** The request's body can go on. */
  resumeRequest(): void;
  /** The answer sends the request somewhere else, and it has gone there: this router is done. */
  redirects(head: ResponseHead, forward: Forward): boolean;
}
