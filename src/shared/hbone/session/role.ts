/** The difference between a client's and a server's connection. */
import type { MeshError } from "../../base/errors.ts";
import type { DecodedHeaders } from "../hpack/decoder.ts";

/** What a connection asks of its role. */
export interface Role {
  readonly name: "client" | "server";
  /** Neither side has opened this stream yet. */
  isIdle(streamId: number): boolean;
  /** A header block; StreamError resets the stream. */
  headers(streamId: number, decoded: DecodedHeaders, endStream: boolean): void;
  /** The peer's first SETTINGS have come. */
  ready(): void;
  /** An answer to a PING. */
  pong(bytes: Uint8Array, start: number): void;
  /** The peer takes no more streams above this one. */
  goAway(lastStreamId: number, code: number): void;
  /** The last stream the peer opened, for our GOAWAY. */
  lastPeerStreamId(): number;
  /** PINGs remain unanswered. */
  dead(): void;
  /** The connection is over, and with it every tunnel. Called once. */
  ended(error: MeshError): void;
}
