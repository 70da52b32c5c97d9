/**
 * One request on its way to an endpoint: first it waits for a connection, then it is a stream on one. It stands between the
 * codec and the exchange, so that it counts from its beginning until its answer is over, whichever side ends it.
 */
import type { Fields, RequestHead, ResponseHead } from "../../http/message.ts";
import type {
  BodyWriter,
  HttpClientConnection,
  ResetReason,
  ResponseReceiver,
} from "../../http/stream.ts";
import type { UpstreamFailure, UpstreamReceiver } from "../upstream.ts";
import type { PooledConnection } from "./pooled-connection.ts";

export interface RequestOwner {
  /** It waits no longer: the exchange gave up. */
  requestCancelled(request: UpstreamRequest): void;
  /** It began on a connection, and this was its end. `failed`: without a whole answer. */
  requestEnded(request: UpstreamRequest, failed: boolean): void;
}

type State = "waiting" | "open" | "over";

/** What came before there was a connection. */
interface Early {
  readonly chunks: Buffer[];
  end: { readonly trailers: Fields | undefined } | undefined;
}

export class UpstreamRequest implements BodyWriter {
  readonly #owner: RequestOwner;
  readonly #head: RequestHead;
  readonly #endStream: boolean;
  readonly #receiver: UpstreamReceiver;
  /** What it goes over, once there is something. */
  connection: PooledConnection | undefined;
  #state: State = "waiting";
  #writer: BodyWriter | undefined;
  #early: Early | undefined;

  constructor(
    owner: RequestOwner,
    head: RequestHead,
    endStream: boolean,
    receiver: UpstreamReceiver,
  ) {
    this.#owner = owner;
    this.#head = head;
    this.#endStream = endStream;
    this.#receiver = receiver;
  }

  /** A connection was found. */
  start(connection: HttpClientConnection, localAddress: string | undefined): void {
    if (this.#state !== "waiting") return;
    this.#state = "open";
    this.#receiver.connected({
      protocol: connection.protocol,
      localAddress,
      reused: connection.servedRequests > 0,
    });
    // Whoever heard of the connection may have given up.
    if (!this.#isOpen()) return;
    const writer = connection.open(this.#head, this.#endStream, new Answer(this, this.#receiver));
    this.#writer = writer;
    if (this.#early !== undefined) this.#sendEarly(writer, this.#early);
  }

  /** No connection came about. */
  fail(failure: UpstreamFailure): void {
    if (this.#state !== "waiting") return;
    this.#state = "over";
    this.#early = undefined;
    this.#receiver.unavailable(failure);
  }

  body(bytes: Buffer, start: number, end: number): boolean {
    if (this.#writer !== undefined) return this.#writer.body(bytes, start, end);
    if (this.#state === "over") return true;
    this.#early ??= { chunks: [], end: undefined };
    this.#early.chunks.push(Buffer.from(bytes.subarray(start, end)));
    return false;
  }

  end(trailers: Fields | undefined): void {
    if (this.#writer !== undefined) {
      this.#writer.end(trailers);
      return;
    }
    if (this.#state === "over") return;
    this.#early ??= { chunks: [], end: undefined };
    this.#early.end = { trailers };
  }

  reset(reason: ResetReason): void {
    const state = this.#state;
    const writer = this.#writer;
    this.#state = "over";
    this.#writer = undefined;
    this.#early = undefined;
    if (state === "waiting") this.#owner.requestCancelled(this);
    // After a whole answer the rest of the request may still be broken off.
    writer?.reset(reason);
    if (state === "open") this.#owner.requestEnded(this, true);
  }

  resume(): void {
    this.#writer?.resume();
  }

  /** The answer is over; of the request more may still be sent. False: it was over before. */
  answered(failed: boolean): boolean {
    if (this.#state !== "open") return false;
    this.#state = "over";
    if (failed) this.#writer = undefined;
    this.#owner.requestEnded(this, failed);
    return true;
  }

  #isOpen(): boolean {
    return this.#state === "open";
  }

  #sendEarly(writer: BodyWriter, early: Early): void {
    this.#early = undefined;
    let hasRoom = true;
    for (const chunk of early.chunks) hasRoom = writer.body(chunk, 0, chunk.length);
    if (early.end !== undefined) writer.end(early.end.trailers);
    else if (hasRoom && early.chunks.length > 0 && this.#isOpen()) this.#receiver.writable();
  }
}

/** The codec's view of the receiver. */
class Answer implements ResponseReceiver {
  readonly #request: UpstreamRequest;
  readonly #receiver: UpstreamReceiver;

  constructor(request: UpstreamRequest, receiver: UpstreamReceiver) {
    this.#request = request;
    this.#receiver = receiver;
  }

  interim(head: ResponseHead): void {
    this.#receiver.interim(head);
  }

  head(head: ResponseHead, endStream: boolean): void {
    if (endStream) this.#request.answered(false);
    this.#receiver.head(head, endStream);
  }

  body(bytes: Buffer, start: number, end: number): boolean {
    return this.#receiver.body(bytes, start, end);
  }

  end(trailers: Fields | undefined): void {
    this.#request.answered(false);
    this.#receiver.end(trailers);
  }

  reset(reason: ResetReason): void {
    if (this.#request.answered(true)) this.#receiver.reset(reason);
  }

  writable(): void {
    this.#receiver.writable();
  }
}
