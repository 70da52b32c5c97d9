/**
 * An HTTP/1.1 connection to an upstream: one request at a time, kept for the next when both messages ended as they should
 * and nothing else came. An answer that can be read in two ways is an error, never a guess.
 */
import type { Fields, HttpProtocol, RequestHead } from "../message.ts";
import type {
  BodyWriter,
  ClientConnectionEvents,
  HttpClientConnection,
  ResetReason,
  ResponseReceiver,
} from "../stream.ts";
import type { Transport, TransportClose } from "../transport.ts";
import { BodyReader, type BodySink } from "./body-reader.ts";
import { type ClientHost, Http1ClientStream } from "./client-stream.ts";
import type { FieldRules } from "./fields.ts";
import { headText } from "./head-end.ts";
import { Hold } from "./hold.ts";
import { enterRead, flushOf, leaveRead } from "./output.ts";
import { MessageProblem } from "./problem.ts";
import { type Codec, CodecReader, describeClose } from "./reader.ts";
import { parseResponseHead } from "./response-head.ts";

export interface Http1ClientSettings {
  readonly maxHeadBytes: number;
  readonly maxHeaders: number;
}

/** As Envoy takes them from upstreams. */
export const defaultHttp1ClientSettings: Http1ClientSettings = {
  maxHeadBytes: 80 * 1024,
  maxHeaders: 100,
};

/** "idle": no request. "head", "body": of the answer. "over": nothing is read any more. */
type State = "idle" | "head" | "body" | "tunnel" | "over" | "closed";

const begins = /^H(?:$|T(?:$|T(?:$|P(?:$|\/(?:$|1(?:$|\.(?:$|[01](?:$| ))))))))/;

export class Http1Client implements HttpClientConnection, Codec, BodySink, ClientHost {
  readonly protocol: HttpProtocol = "HTTP/1.1";
  readonly transport: Transport;
  readonly closed: Promise<void>;
  sentBytes = 0;
  canTakeMore = true;
  readonly #rules: FieldRules;
  readonly #maxHeadBytes: number;
  readonly #events: ClientConnectionEvents;
  readonly #body = new BodyReader();
  readonly #hold = new Hold();
  #state: State = "idle";
  #stream: Http1ClientStream | undefined;
  #receiver: ResponseReceiver | undefined;
  #seen = 0;
  #paused = false;
  #keepAlive = true;
  #served = 0;
  #draining = false;
  #unusable = false;
  /** Of a tunnel: which directions have ended. */
  #readEnded = false;
  #writeEnded = false;
  #settleClosed: (() => void) | undefined;

  constructor(transport: Transport, settings: Http1ClientSettings, events: ClientConnectionEvents) {
    this.transport = transport;
    this.#maxHeadBytes = settings.maxHeadBytes;
    this.#rules = { maxFields: settings.maxHeaders, underscores: "allow", isRequest: false };
    this.#events = events;
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
  }

  /** Reads from here on. */
  start(): void {
    this.transport.start(new CodecReader(this));
  }

  get capacity(): number {
    return this.#state === "idle" && !this.#unusable ? 1 : 0;
  }

  get activeRequests(): number {
    return this.#stream === undefined ? 0 : 1;
  }

  get servedRequests(): number {
    return this.#served;
  }

  open(head: RequestHead, endStream: boolean, receiver: ResponseReceiver): BodyWriter {
    if (this.capacity === 0) throw new TypeError("Cannot open a request: the connection is busy");
    this.#served++;
    this.#state = "head";
    this.#seen = 0;
    this.#keepAlive = true;
    this.#receiver = receiver;
    const stream = new Http1ClientStream(this, head);
    this.#stream = stream;
    stream.begin(head, endStream);
    return stream;
  }

  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    if (this.#state === "idle") this.#close();
    this.#cannotBeUsed();
  }

  destroy(reason: ResetReason): void {
    if (this.#state === "closed") return;
    this.#break(reason);
  }

  // Codec

  received(bytes: Buffer, start: number, end: number): boolean {
    enterRead();
    const hold = this.#hold;
    if (hold.length > 0) {
      hold.append(bytes, start, end);
      const used = this.#consume(hold.bytes, 0, hold.length);
      hold.consume(used);
    } else {
      const at = this.#consume(bytes, start, end);
      if (at < end) hold.append(bytes, at, end);
    }
    leaveRead();
    return !this.#paused;
  }

  ended(): void {
    const state = this.#state;
    if (state === "tunnel") {
      this.#readEnded = true;
      this.#receiver?.end(undefined);
      return;
    }
    if (state === "body" && this.#body.endsWithConnection) {
      this.bodyEnd(undefined);
      return;
    }
    if (state === "idle") this.#close();
    // An orderly end in the middle of an answer is the upstream's doing, not the network's.
    else if (state === "body" || this.#hold.length > 0)
      this.#break({ kind: "protocol-error", detail: "the answer is cut off" });
    else this.#break(this.#lost("closed"));
  }

  writable(): void {
    this.canTakeMore = true;
    this.#receiver?.writable();
  }

  transportClosed(close: TransportClose): void {
    const reason = this.#lost(describeClose(close));
    const receiver = this.#takeReceiver();
    this.#state = "closed";
    this.#hold.clear();
    if (!(this.#readEnded && this.#writeEnded)) receiver?.reset(reason);
    this.#cannotBeUsed();
    this.#settleClosed?.();
  }

  // BodySink

  bodyBytes(bytes: Buffer, start: number, end: number): void {
    if (this.#receiver?.body(bytes, start, end) === false) this.#paused = true;
  }

  bodyEnd(trailers: Fields | undefined): void {
    this.#answerEnded((receiver) => receiver.end(trailers));
  }

  // ClientHost

  flushed(writable: boolean): void {
    this.canTakeMore = writable;
  }

  /** The request was broken off by those above: no answer is wanted any more. */
  cancelled(): void {
    this.#takeReceiver();
    this.#break({ kind: "local", detail: "cancelled" });
  }

  tunnelWriteEnded(): void {
    this.#writeEnded = true;
    flushOf(this);
    this.transport.end();
  }

  tunnelReady(): void {
    this.#receiver?.writable();
  }

  receiverReady(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.transport.resume();
  }

  // Reading.

  #consume(bytes: Buffer, start: number, end: number): number {
    let at = start;
    try {
      while (at < end) {
        const state = this.#state;
        const next = this.#step(state, bytes, at, end);
        if (next === at && this.#state === state) break;
        at = next;
      }
    } catch (problem) {
      if (!(problem instanceof MessageProblem)) throw problem;
      this.#break({ kind: "protocol-error", detail: problem.message });
      return end;
    }
    return at;
  }

  #step(state: State, bytes: Buffer, at: number, end: number): number {
    switch (state) {
      case "idle":
        // An answer to no question, or to a question that somebody else smuggled in.
        throw new MessageProblem("octets outside an answer");
      case "head":
        return this.#readHead(bytes, at, end);
      case "body":
        return this.#body.read(bytes, at, end, this);
      case "tunnel":
        this.bodyBytes(bytes, at, end);
        return end;
      case "over":
      case "closed":
        return end;
    }
  }

  #readHead(bytes: Buffer, at: number, end: number): number {
    const text = headText(bytes, at, end, this.#seen, this.#maxHeadBytes, begins);
    if (text === undefined) {
      this.#seen = end - at;
      return at;
    }
    this.#seen = 0;
    const next = at + text.length;
    const stream = this.#stream;
    const receiver = this.#receiver;
    if (stream === undefined || receiver === undefined) return end;
    const { head, framing, keepAlive, tunnel } = parseResponseHead(text, this.#rules, stream);
    if (head.status < 200 && !tunnel) {
      receiver.interim(head);
      return next;
    }
    this.#keepAlive = keepAlive;
    if (tunnel) {
      this.#state = "tunnel";
      receiver.head(head, false);
      stream.tunnelOpened();
    } else if (framing === 0) {
      this.#answerEnded(() => receiver.head(head, true));
    } else {
      this.#state = "body";
      this.#body.begin(framing, this.#rules, this.#maxHeadBytes);
      receiver.head(head, false);
    }
    return next;
  }

  /** The connection is settled before the receiver is told, which may at once look for a free one. */
  #answerEnded(tell: (receiver: ResponseReceiver) => void): void {
    const receiver = this.#receiver;
    const requestEnded = this.#stream?.ended ?? true;
    this.#stream?.answered();
    this.#stream = undefined;
    this.#receiver = undefined;
    this.#paused = false;
    const reusable = requestEnded && this.#keepAlive && !this.#draining;
    if (reusable) this.#state = "idle";
    else this.#close();
    if (receiver !== undefined) tell(receiver);
    if (!reusable) this.#cannotBeUsed();
    // Not if the receiver has opened the next request meanwhile.
    else if (this.#isIdle()) this.#events.available(this);
  }

  // Endings.

  #lost(detail: string): ResetReason {
    return { kind: "connection-lost", detail, reused: this.#served > 1 };
  }

  #takeReceiver(): ResponseReceiver | undefined {
    const receiver = this.#receiver;
    this.#stream?.answered();
    this.#stream = undefined;
    this.#receiver = undefined;
    return receiver;
  }

  #break(reason: ResetReason): void {
    const receiver = this.#takeReceiver();
    this.#state = "over";
    this.#paused = false;
    this.#hold.clear();
    this.transport.reset();
    receiver?.reset(reason);
    this.#cannotBeUsed();
  }

  #close(): void {
    this.#state = "over";
    flushOf(this);
    this.transport.close();
  }

  #isIdle(): boolean {
    return this.#state === "idle";
  }

  #cannotBeUsed(): void {
    if (this.#unusable) return;
    this.#unusable = true;
    this.#events.unusable(this);
  }
}
