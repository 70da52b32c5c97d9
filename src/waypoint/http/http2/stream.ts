/**
 * One request and its answer on an HTTP/2 connection, for either role: the states of both directions, what waits in each,
 * and the checks that make a body what its head said.
 */
import { errorCode } from "../../../shared/hbone/http2/errors.ts";
import { ByteQueue } from "../../../shared/hbone/session/byte-queue.ts";
import type { CreditedStream } from "../../../shared/hbone/session/receive-credit.ts";
import type { Fields } from "../message.ts";
import type { BodyWriter, ResetReason } from "../stream.ts";
import { malformed } from "./field-rules.ts";
import type { Scheduler, SendingStream } from "./scheduler.ts";
import { SendQueue } from "./send-queue.ts";

/** Whoever takes what comes: RequestReceiver and ResponseReceiver have this in common. */
export interface BodyReceiver {
  body(bytes: Buffer, start: number, end: number): boolean;
  end(trailers: Fields | undefined): void;
  reset(reason: ResetReason): void;
  writable(): void;
}

/** What a stream needs of its connection. */
export interface StreamHost {
  readonly scheduler: Scheduler;
  /** Sends a header block of these fields; returns its octets on the wire. */
  sendTrailers(stream: Http2Stream, trailers: Fields): void;
  /** Sends RST_STREAM and forgets the stream. */
  resetStream(stream: Http2Stream, code: number): void;
  /** Both directions have ended. */
  streamEnded(stream: Http2Stream): void;
  /** The receiver is done with so many octets. */
  credit(stream: Http2Stream, bytes: number): void;
}

/** Our direction. "finishing": END_STREAM waits for what is queued. */
type Local = "open" | "finishing" | "ended";

/** The peer's end, while the receiver still has octets to take before it. */
interface PeersEnd {
  readonly trailers: Fields | undefined;
}

export abstract class Http2Stream implements BodyWriter, SendingStream, CreditedStream {
  readonly id: number;
  protected readonly host: StreamHost;
  protected receiver: BodyReceiver | undefined;

  sendWindowBytes: number;
  receiveWindowBytes: number;
  uncreditedBytes = 0;
  wireBytesReceived = 0;
  wireBytesSent = 0;
  readonly queue = new SendQueue();
  isReady = false;
  isHeldBack = false;
  lastFrameAt = -1;
  lastFrameWrite = -1;
  /** Raw octets follow the heads: a CONNECT or an upgrade that was accepted. */
  isTunnel = false;

  #local: Local = "open";
  #remoteEnded = false;
  #over = false;
  #trailers: Fields | undefined;
  /** -1: the head does not say. */
  #statedBytes = -1;
  #bodyBytes = 0;
  #paused = false;
  /** Given to the receiver, which asked for a pause. */
  #uncredited = 0;
  #held: ByteQueue | undefined;
  #end: PeersEnd | undefined;

  constructor(host: StreamHost, id: number, sendWindowBytes: number, receiveWindowBytes: number) {
    this.host = host;
    this.id = id;
    this.sendWindowBytes = sendWindowBytes;
    this.receiveWindowBytes = receiveWindowBytes;
  }

  /** RST_STREAM code for a break of ours. */
  protected abstract codeOf(reason: ResetReason): number;
  /** Our message is complete, the peer's is not. */
  protected abstract localEndedFirst(): void;
  /** The peer's message is complete and handed on, ours is not. */
  protected abstract remoteEndedFirst(): void;

  get over(): boolean {
    return this.#over;
  }

  get remoteEnded(): boolean {
    return this.#remoteEnded;
  }

  get localEnded(): boolean {
    return this.#local === "ended";
  }

  // The connection's side.

  /** How long the peer's body is to be; -1: unknown. */
  stateLength(bytes: number): void {
    this.#statedBytes = bytes;
  }

  /** A DATA frame with so much payload begins. Throws StreamError. */
  checkData(payloadBytes: number): void {
    this.#bodyBytes += payloadBytes;
    if (this.#statedBytes >= 0 && this.#bodyBytes > this.#statedBytes)
      throw malformed("more DATA than content-length");
  }

  /** A piece of its payload. */
  receive(bytes: Buffer, start: number, end: number): void {
    if (this.#over || this.receiver === undefined) this.host.credit(this, end - start);
    else if (!this.#paused) this.#give(bytes, start, end);
    else {
      this.#held ??= new ByteQueue();
      this.#held.push(bytes, start, end);
    }
  }

  /** END_STREAM came. Throws StreamError. */
  peerEnded(trailers: Fields | undefined): void {
    this.#remoteEnd({ trailers });
    this.#giveEnd();
  }

  /** END_STREAM came with the head, which says so to the receiver. Throws StreamError. */
  protected peerEndedWithHead(): void {
    this.#remoteEnd(undefined);
  }

  #remoteEnd(end: PeersEnd | undefined): void {
    if (this.#statedBytes >= 0 && this.#bodyBytes < this.#statedBytes)
      throw malformed("less DATA than content-length");
    this.#remoteEnded = true;
    this.#end = end;
    if (this.#local !== "ended") return;
    this.host.streamEnded(this);
    if (end === undefined) this.#over = true;
  }

  /** The stream broke, by the peer or with the connection; the connection has forgotten it. */
  fail(reason: ResetReason): void {
    if (this.#over) return;
    const receiver = this.receiver;
    this.#drop();
    receiver?.reset(reason);
  }

  // Scheduler's side.

  queueSent(): void {
    if (this.#local === "finishing") this.#sendEnd();
  }

  writable(): void {
    if (this.#local === "open") this.receiver?.writable();
  }

  // The writer's side.

  body(bytes: Buffer, start: number, end: number): boolean {
    if (this.#local !== "open" || start === end) return true;
    return this.host.scheduler.send(this, bytes, start, end);
  }

  end(trailers: Fields | undefined): void {
    if (this.#local !== "open") return;
    this.#local = "finishing";
    this.#trailers = trailers;
    if (this.queue.bytes === 0) this.#sendEnd();
  }

  reset(reason: ResetReason): void {
    this.breakOff(this.codeOf(reason));
  }

  resume(): void {
    if (!this.#paused || this.#over) return;
    this.#paused = false;
    this.#giveBack();
    while (!this.#paused) {
      const next = this.#held?.shift();
      if (next === undefined) break;
      this.#give(next.slab.bytes, 0, next.end);
      next.slab.release();
    }
    this.#giveEnd();
  }

  /** END_STREAM has left with our head. */
  protected endedWithHead(): void {
    this.#local = "ended";
    this.#afterLocalEnd();
  }

  /** Breaks off with this code. */
  protected breakOff(code: number): void {
    if (this.#over) return;
    const isClosed = this.#remoteEnded && this.#local === "ended";
    if (!isClosed) this.host.resetStream(this, code);
    this.#drop();
  }

  #sendEnd(): void {
    this.#local = "ended";
    const trailers = this.#trailers;
    this.#trailers = undefined;
    if (trailers !== undefined && trailers.flat.length > 0) this.host.sendTrailers(this, trailers);
    else this.host.scheduler.endStream(this);
    this.#afterLocalEnd();
  }

  #afterLocalEnd(): void {
    if (this.#remoteEnded) {
      this.host.streamEnded(this);
      // The receiver may still have to take what is held.
      if (this.#end === undefined) this.#over = true;
    } else if (!this.isTunnel) this.localEndedFirst();
  }

  #give(bytes: Buffer, start: number, end: number): void {
    this.#uncredited += end - start;
    // Before the call: the receiver may resume from within it.
    this.#paused = true;
    if (this.receiver?.body(bytes, start, end) === false) return;
    this.#paused = false;
    this.#giveBack();
  }

  #giveBack(): void {
    const bytes = this.#uncredited;
    this.#uncredited = 0;
    if (bytes > 0) this.host.credit(this, bytes);
  }

  #giveEnd(): void {
    const end = this.#end;
    if (end === undefined || this.#paused || this.#over) return;
    this.#end = undefined;
    if (this.#local === "ended") this.#over = true;
    this.receiver?.end(end.trailers);
    this.afterPeersEnd();
  }

  protected afterPeersEnd(): void {
    if (!this.#over && this.#local !== "ended" && !this.isTunnel) this.remoteEndedFirst();
  }

  /** Nothing is sent or handed on any more. */
  #drop(): void {
    this.#over = true;
    this.#local = "ended";
    this.receiver = undefined;
    this.#end = undefined;
    this.queue.clear();
    this.#uncredited += this.#held?.bytes ?? 0;
    this.#held?.clear();
    this.#giveBack();
  }
}

/** What a break of ours is called on the wire, apart from what the roles say. */
export function commonCode(reason: ResetReason): number | undefined {
  switch (reason.kind) {
    case "refused":
      return errorCode.refusedStream;
    case "remote-reset":
    case "connection-lost":
    case "protocol-error":
      return errorCode.internalError;
    case "local":
      return undefined;
  }
}
