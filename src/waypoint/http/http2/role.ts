/** The difference between a client's and a server's connection. */
import type { DecodedFields } from "../../../shared/hbone/hpack/decoder.ts";
import type { StreamError } from "../../../shared/hbone/http2/errors.ts";
import type { ResetReason } from "../stream.ts";
import type { Http2Stream } from "./stream.ts";

/** What a connection asks of its role. */
export interface ConnectionRole {
  readonly name: "client" | "server";
  /** Neither side has opened this stream yet. */
  isIdle(streamId: number): boolean;
  /** A header block; StreamError resets the stream. */
  headers(streamId: number, decoded: DecodedFields, endStream: boolean, wireBytes: number): void;
  /** The peer's SETTINGS may have changed what can be opened. */
  settingsChanged(): void;
  /** An answer to a PING. */
  pong(bytes: Uint8Array, start: number): void;
  /** The peer takes no more streams above this one. */
  goAway(lastStreamId: number): void;
  /** Why a stream ends that the peer has reset. */
  resetReason(stream: Http2Stream, code: number): ResetReason;
  /** Why a stream ends together with its connection. */
  lostReason(stream: Http2Stream, reason: ResetReason): ResetReason;
  /** One of the peer's frames broke the rules of its stream; `stream` is undefined when it never came to be. */
  mistake(stream: Http2Stream | undefined, problem: StreamError): void;
  /** The last stream the peer opened, for our GOAWAY. */
  lastPeerStreamId(): number;
  /** A stream has gone. */
  streamGone(): void;
  /** The connection opens and takes no more streams; perhaps it is over. Called at each step, so it may come twice. */
  leaving(): void;
}
