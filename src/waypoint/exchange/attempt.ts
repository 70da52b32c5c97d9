/** One try of a request at one endpoint, until its answer is over or it failed. */
import type { Fields, HttpProtocol, ResponseHead } from "../http/message.ts";
import type { BodyWriter, ResetReason } from "../http/stream.ts";
import type { Endpoint, UpstreamFailure, UpstreamReceiver } from "../upstream/upstream.ts";
import { type Failure, failureOfReset, failureOfUnavailable } from "./resets.ts";

/** What an attempt tells; nothing any more after `attemptEnded` or `attemptFailed`, or after `cancel`. */
export interface AttemptOwner {
  attemptConnected(): void;
  attemptInterim(head: ResponseHead): void;
  attemptHead(head: ResponseHead, endStream: boolean): void;
  attemptBody(bytes: Buffer, start: number, end: number): boolean;
  attemptEnded(trailers: Fields | undefined): void;
  attemptFailed(failure: Failure): void;
  /** The endpoint takes more of the request. */
  attemptWritable(): void;
}

export class Attempt implements UpstreamReceiver {
  readonly endpoint: Endpoint;
  localAddress: string | undefined;
  protocol: HttpProtocol | undefined;
  #owner: AttemptOwner | undefined;
  #writer: BodyWriter | undefined;

  constructor(owner: AttemptOwner, endpoint: Endpoint) {
    this.#owner = owner;
    this.endpoint = endpoint;
  }

  /** The request is on its way; false: it is over already. */
  opened(writer: BodyWriter): boolean {
    if (this.#owner === undefined) {
      writer.reset({ kind: "local", detail: "over" });
      return false;
    }
    this.#writer = writer;
    return true;
  }

  get over(): boolean {
    return this.#owner === undefined;
  }

  get isConnected(): boolean {
    return this.protocol !== undefined;
  }

  body(bytes: Buffer, start: number, end: number): boolean {
    return this.#owner?.attemptBody(bytes, start, end) ?? true;
  }

  // The request's side.

  send(bytes: Buffer, start: number, end: number): boolean {
    return this.#writer?.body(bytes, start, end) ?? true;
  }

  sendEnd(trailers: Fields | undefined): void {
    this.#writer?.end(trailers);
  }

  /** The client takes more of the answer. */
  resume(): void {
    this.#writer?.resume();
  }

  cancel(detail: string): void {
    this.#owner = undefined;
    this.#writer?.reset({ kind: "local", detail });
    this.#writer = undefined;
  }

  // UpstreamReceiver

  connected(info: { protocol: HttpProtocol; localAddress: string | undefined }): void {
    this.protocol = info.protocol;
    this.localAddress = info.localAddress;
    this.#owner?.attemptConnected();
  }

  unavailable(failure: UpstreamFailure): void {
    this.#fail(failureOfUnavailable(failure));
  }

  interim(head: ResponseHead): void {
    this.#owner?.attemptInterim(head);
  }

  head(head: ResponseHead, endStream: boolean): void {
    this.#owner?.attemptHead(head, endStream);
  }

  end(trailers: Fields | undefined): void {
    this.#owner?.attemptEnded(trailers);
  }

  reset(reason: ResetReason): void {
    this.#fail(failureOfReset(reason));
  }

  writable(): void {
    this.#owner?.attemptWritable();
  }

  /** Its answer is complete. What of the request still comes has nowhere to go. */
  finished(requestEnded: boolean): void {
    this.#owner = undefined;
    const writer = this.#writer;
    this.#writer = undefined;
    if (!requestEnded) writer?.reset({ kind: "local", detail: "answered before its end" });
  }

  #fail(failure: Failure): void {
    const owner = this.#owner;
    this.#owner = undefined;
    this.#writer = undefined;
    owner?.attemptFailed(failure);
  }
}
