/**
 * An HTTP/1.1 connection from a client: one request at a time in the order they came, however many arrive at once. What
 * cannot be read in exactly one way is refused, and the connection ends with it.
 */
import type { Clock } from "../../../shared/base/clock.ts";
import { httpDate } from "../http-date.ts";
import { Fields } from "../message.ts";
import type {
  AcceptRequest,
  DownstreamInfo,
  HttpServerConnection,
  ReportRefused,
  RequestReceiver,
  ResetReason,
} from "../stream.ts";
import type { Transport, TransportClose } from "../transport.ts";
import { BodyReader, type BodySink } from "./body-reader.ts";
import type { FieldRules } from "./fields.ts";
import { headText } from "./head-end.ts";
import { Hold } from "./hold.ts";
import { enterRead, flushOf, leaveRead, writeText } from "./output.ts";
import { MessageProblem } from "./problem.ts";
import { type Codec, CodecReader, describeClose } from "./reader.ts";
import { type ParsedRequest, parseRequestHead } from "./request-head.ts";
import { Http1ServerStream, type StreamHost } from "./server-stream.ts";
import { ServerTimers, type TimerSettings } from "./server-timers.ts";
import { reasonOf, responseText } from "./write-head.ts";

/** HttpSettings has all of these. */
export interface Http1ServerSettings extends TimerSettings {
  readonly maxHeadBytes: number;
  readonly maxHeaders: number;
  readonly underscoresInNames: "allow" | "reject" | "drop";
  readonly acceptHttp10: boolean;
  readonly serverName: string;
}

export interface Http1ServerOwner {
  readonly accept: AcceptRequest;
  readonly refused: ReportRefused;
  readonly connection: DownstreamInfo;
  readonly clock: Clock;
}

/**
 * "head": a head is awaited. "body": a request's body is being read. "answering": the request is read, its answer is not
 * yet complete, and what comes waits. "deaf": likewise, but what comes is dropped, because framing is lost. "tunnel": no
 * HTTP any more. "closing": the last octets are on their way.
 */
type State = "head" | "body" | "answering" | "deaf" | "tunnel" | "closing" | "closed";

const begins = /^(?:\r\n|\r$)?(?:$|[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,40}(?:$| ))/;

export class Http1Server implements HttpServerConnection, Codec, BodySink, StreamHost {
  readonly transport: Transport;
  readonly closed: Promise<void>;
  sentBytes = 0;
  consumedBytes = 0;
  canTakeMore = true;
  readonly #settings: Http1ServerSettings;
  readonly #owner: Http1ServerOwner;
  readonly #rules: FieldRules;
  readonly #timers: ServerTimers;
  readonly #body = new BodyReader();
  readonly #hold = new Hold();
  #state: State = "head";
  #stream: Http1ServerStream | undefined;
  #receiver: RequestReceiver | undefined;
  /** Inside `#consume`: who ends an answer meanwhile leaves the next request to it. */
  #consuming = false;
  /** Of the held octets, how many a search for the end of the head has seen. */
  #seen = 0;
  /** The receiver asked for a pause. */
  #paused = false;
  /** Of a tunnel: which directions have ended. */
  #readEnded = false;
  #writeEnded = false;
  #settleClosed: (() => void) | undefined;

  constructor(transport: Transport, settings: Http1ServerSettings, owner: Http1ServerOwner) {
    this.transport = transport;
    this.#settings = settings;
    this.#owner = owner;
    this.#rules = {
      maxFields: settings.maxHeaders,
      underscores: settings.underscoresInNames,
      isRequest: true,
    };
    this.#timers = new ServerTimers(owner.clock, settings, this);
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
  }

  /** Reads from here on. */
  start(): void {
    this.#timers.start();
    this.transport.start(new CodecReader(this));
  }

  get connection(): DownstreamInfo {
    return this.#owner.connection;
  }

  get activeRequests(): number {
    return this.#stream === undefined ? 0 : 1;
  }

  get draining(): boolean {
    return this.#timers.draining;
  }

  get requestRead(): boolean {
    return this.#state === "answering";
  }

  /** Nothing of a request has come. */
  get idle(): boolean {
    return this.#state === "head" && this.#hold.length === 0;
  }

  drain(): void {
    this.#timers.drain();
  }

  destroy(reason: ResetReason): void {
    if (this.#state === "closed") return;
    this.#abandon(reason);
    this.transport.reset();
  }

  // Timers.

  headTimeout(): void {
    if (this.#state !== "head") return;
    this.#refuse(new MessageProblem("head came too slowly", "request_header_timeout", 408));
  }

  /** Closes without a word: nothing is under way. */
  leave(): void {
    if (this.idle) this.#close();
  }

  // Codec

  received(bytes: Buffer, start: number, end: number): boolean {
    enterRead();
    const hold = this.#hold;
    if (hold.length > 0) {
      hold.append(bytes, start, end);
      this.#consumeHeld();
    } else {
      const at = this.#consume(bytes, start, end);
      if (at < end) this.#keep(bytes, at, end);
    }
    leaveRead();
    return this.#wantsMore();
  }

  /** A client that closes its direction has gone, as with Envoy; only in a tunnel does the other one live on. */
  ended(): void {
    if (this.#state === "tunnel") {
      this.#readEnded = true;
      this.#receiver?.end(undefined);
      return;
    }
    this.#abandon({ kind: "connection-lost", detail: "the client closed", reused: false });
    this.#close();
  }

  writable(): void {
    this.canTakeMore = true;
    this.#receiver?.writable();
  }

  transportClosed(close: TransportClose): void {
    if (!(this.#readEnded && this.#writeEnded))
      this.#abandon({ kind: "connection-lost", detail: describeClose(close), reused: false });
    this.#state = "closed";
    this.#timers.stop();
    this.#hold.clear();
    this.#settleClosed?.();
  }

  // BodySink

  bodyBytes(bytes: Buffer, start: number, end: number): void {
    if (this.#receiver?.body(bytes, start, end) === false) this.#paused = true;
  }

  bodyEnd(trailers: Fields | undefined): void {
    if (this.#state === "body") this.#state = "answering";
    this.#receiver?.end(trailers);
  }

  // StreamHost

  flushed(writable: boolean): void {
    this.canTakeMore = writable;
  }

  tunnelOpened(): void {
    if (this.#state !== "answering") return;
    this.#state = "tunnel";
    this.#readOn();
  }

  answerEnded(close: boolean): void {
    if (this.#state === "tunnel") {
      this.#endTunnel();
      return;
    }
    this.#stream = undefined;
    this.#receiver = undefined;
    if (close || this.#state !== "answering") {
      this.#close();
      return;
    }
    this.#state = "head";
    this.#paused = false;
    this.#timers.nowIdle();
    this.#readOn();
  }

  answerBroken(cut: boolean): void {
    const inTunnel = this.#state === "tunnel";
    this.#stream = undefined;
    this.#receiver = undefined;
    if (!cut && !inTunnel) {
      this.#close();
      return;
    }
    flushOf(this);
    this.#state = "closing";
    this.transport.reset();
  }

  receiverReady(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#readOn();
  }

  // Reading.

  #wantsMore(): boolean {
    return !this.#paused && (this.#state !== "answering" || this.#hold.length === 0);
  }

  /** After something that kept us from reading has gone. */
  #readOn(): void {
    if (this.#consuming) return;
    if (this.#hold.length > 0) {
      enterRead();
      this.#consumeHeld();
      leaveRead();
    }
    if (this.#wantsMore()) this.transport.resume();
  }

  #consumeHeld(): void {
    const hold = this.#hold;
    const { bytes, length } = hold;
    const used = this.#consume(bytes, 0, length);
    if (this.#isOver()) hold.clear();
    else hold.consume(used);
    if (hold.length > 0 && this.#state === "head") this.#timers.headBegun();
  }

  #keep(bytes: Buffer, start: number, end: number): void {
    if (this.#isOver()) return;
    this.#hold.append(bytes, start, end);
    if (this.#state === "head") this.#timers.headBegun();
  }

  /** Reads as much as can be read now; returns where it stopped. */
  #consume(bytes: Buffer, start: number, end: number): number {
    this.#consuming = true;
    let at = start;
    try {
      while (at < end) {
        const state = this.#state;
        const next = this.#step(state, bytes, at, end);
        this.consumedBytes += next - at;
        if (next === at && this.#state === state) break;
        at = next;
      }
    } catch (problem) {
      if (!(problem instanceof MessageProblem)) throw problem;
      this.#refuse(problem);
      at = end;
    } finally {
      this.#consuming = false;
    }
    return at;
  }

  #step(state: State, bytes: Buffer, at: number, end: number): number {
    switch (state) {
      case "head":
        return this.#readHead(bytes, at, end);
      case "body":
        return this.#body.read(bytes, at, end, this);
      case "tunnel":
        this.bodyBytes(bytes, at, end);
        return end;
      case "answering":
        return at;
      case "deaf":
      case "closing":
      case "closed":
        return end;
    }
  }

  #readHead(bytes: Buffer, at: number, end: number): number {
    const { maxHeadBytes } = this.#settings;
    const text = headText(bytes, at, end, this.#seen, maxHeadBytes, begins);
    if (text === undefined) {
      this.#seen = end - at;
      return at;
    }
    this.#seen = 0;
    this.#timers.headRead();
    const request = parseRequestHead(text, this.#rules);
    if (request.minorVersion === 0) this.#checkHttp10(request);
    const stream = new Http1ServerStream(this, request, this.consumedBytes);
    // The body's framing is set before the call, which may answer and thereby end all this.
    this.#stream = stream;
    const tunnels = request.head.upgrade !== undefined || request.head.method === "CONNECT";
    this.#state = request.framing === 0 ? "answering" : "body";
    if (request.framing !== 0) this.#body.begin(request.framing, this.#rules, maxHeadBytes);
    const endStream = request.framing === 0 && !tunnels;
    const receiver = this.#owner.accept(request.head, endStream, stream);
    if (this.#stream === stream) this.#receiver = receiver;
    return at + text.length;
  }

  #checkHttp10(request: ParsedRequest): void {
    if (!this.#settings.acceptHttp10)
      throw new MessageProblem("HTTP/1.0 is not accepted", "low_version", 426);
    if (request.head.authority === "")
      throw new MessageProblem("no Host field", "missing_host_header");
  }

  // Endings.

  /** What came is not HTTP. The request under way gets its answer, if it can still have one, and the connection ends. */
  #refuse(problem: MessageProblem): void {
    const receiver = this.#receiver;
    if (this.#stream !== undefined) {
      this.#state = "deaf";
      this.#body.abandon();
      receiver?.reset({ kind: "protocol-error", detail: problem.details });
      return;
    }
    const sentBefore = this.sentBytes;
    const body = problem.isCodecs ? reasonOf(problem.status) : "";
    const fields = new Fields(["content-length", String(body.length)]);
    if (body !== "") fields.append("content-type", "text/plain");
    fields.append("date", httpDate(this.#owner.clock));
    fields.append("server", this.#settings.serverName);
    const head = { status: problem.status, fields };
    writeText(this, responseText(head, body.length, "close", undefined) + body);
    this.#owner.refused(
      {
        protocol: "HTTP/1.1",
        flags: problem.isCodecs ? ["DPE"] : [],
        status: problem.status,
        details: problem.details,
        wireBytesReceived: this.#hold.length,
        wireBytesSent: this.sentBytes - sentBefore,
      },
      this.#owner.connection,
    );
    this.#close();
  }

  /** The answer's direction of a tunnel has ended; the other may go on. */
  #endTunnel(): void {
    this.#writeEnded = true;
    flushOf(this);
    this.transport.end();
  }

  #close(): void {
    if (this.#isOver()) return;
    flushOf(this);
    this.#state = "closing";
    this.#timers.stop();
    this.transport.close();
  }

  #abandon(reason: ResetReason): void {
    const receiver = this.#receiver;
    this.#stream?.abandoned();
    this.#stream = undefined;
    this.#receiver = undefined;
    receiver?.reset(reason);
  }

  #isOver(): boolean {
    return this.#state === "closing" || this.#state === "closed";
  }
}
