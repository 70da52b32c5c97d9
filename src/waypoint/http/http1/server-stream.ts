/** One request's answer on an HTTP/1.1 connection. */
import type { Fields, HttpProtocol, ResponseHead } from "../message.ts";
import type { DownstreamInfo, ResetReason, ServerStream } from "../stream.ts";
import { BodyFramer } from "./body-writer.ts";
import { chunked, type Framing, untilClose } from "./framing.ts";
import { type OutputOwner, writeText } from "./output.ts";
import type { ParsedRequest } from "./request-head.ts";
import { interimText, responseText } from "./write-head.ts";

/** What an answer needs of its connection. */
export interface StreamHost extends OutputOwner {
  readonly connection: DownstreamInfo;
  readonly canTakeMore: boolean;
  readonly draining: boolean;
  /** The request has been read to its end. */
  readonly requestRead: boolean;
  readonly consumedBytes: number;
  /** Raw octets follow both ways. */
  tunnelOpened(): void;
  /** The last octet of the answer is written. `close`: the connection ends with it. */
  answerEnded(close: boolean): void;
  /** The answer broke off; `cut`: only a break tells the client so. */
  answerBroken(cut: boolean): void;
  receiverReady(): void;
}

/** "waiting": nothing but interim answers is written. */
type State = "waiting" | "body" | "done";

export class Http1ServerStream implements ServerStream {
  readonly protocol: HttpProtocol;
  readonly #host: StreamHost;
  readonly #framer = new BodyFramer();
  readonly #sentBefore: number;
  readonly #consumedBefore: number;
  readonly #keepAlive: boolean;
  #state: State = "waiting";
  #close = false;
  #tunnel = false;

  constructor(host: StreamHost, request: ParsedRequest, consumedBefore: number) {
    this.#host = host;
    this.protocol = request.minorVersion === 1 ? "HTTP/1.1" : "HTTP/1.0";
    this.#sentBefore = host.sentBytes;
    this.#consumedBefore = consumedBefore;
    // Read before a filter may change them.
    this.#isHead = request.head.method === "HEAD";
    this.#upgrade = request.head.upgrade;
    this.#isConnect = request.head.method === "CONNECT";
    // Who asked for a tunnel may have sent something for it already: after a refusal that would be read as a request.
    const asksForTunnel = this.#isConnect || this.#upgrade !== undefined;
    this.#keepAlive = request.keepAlive && !asksForTunnel;
  }

  readonly #isHead: boolean;
  readonly #isConnect: boolean;
  readonly #upgrade: string | undefined;

  get connection(): DownstreamInfo {
    return this.#host.connection;
  }

  get wireBytesReceived(): number {
    return this.#host.consumedBytes - this.#consumedBefore;
  }

  get wireBytesSent(): number {
    return this.#host.sentBytes - this.#sentBefore;
  }

  /** Whether the head is still to be sent. */
  get unanswered(): boolean {
    return this.#state === "waiting";
  }

  interim(head: ResponseHead): void {
    if (this.#state !== "waiting" || this.protocol === "HTTP/1.0") return;
    writeText(this.#host, interimText(head));
  }

  head(head: ResponseHead, endStream: boolean): void {
    if (this.#state !== "waiting") return;
    this.#state = "body";
    this.#tunnel = this.#opensTunnel(head.status);
    const framing = this.#framingOf(head, endStream);
    this.#framer.begin(framing);
    const host = this.#host;
    // An answer that begins before its request has ended is the last one here: what is left of the request is in the way.
    this.#close = !this.#keepAlive || !host.requestRead || host.draining || framing === untilClose;
    const upgrade = head.status === 101 && this.#tunnel ? this.#upgrade : undefined;
    writeText(host, responseText(head, framing, this.#connectionOption(), upgrade));
    if (this.#tunnel) host.tunnelOpened();
    else if (endStream) this.#finish();
  }

  body(bytes: Buffer, start: number, end: number): boolean {
    if (this.#state !== "body") return true;
    if (!this.#isHead && !this.#framer.body(this.#host, bytes, start, end)) {
      this.reset({ kind: "protocol-error", detail: "answer is longer than its Content-Length" });
      return true;
    }
    return this.#host.canTakeMore;
  }

  end(trailers: Fields | undefined): void {
    if (this.#state !== "body") return;
    if (this.#isHead || this.#framer.end(this.#host, trailers)) this.#finish();
    else
      this.reset({ kind: "protocol-error", detail: "answer is shorter than its Content-Length" });
  }

  reset(_reason: ResetReason): void {
    if (this.#state === "done") return;
    const cut = this.#state === "body" && this.#framer.framing === untilClose;
    this.#state = "done";
    this.#host.answerBroken(cut);
  }

  resume(): void {
    this.#host.receiverReady();
  }

  /** The connection is gone: nothing can be written any more. */
  abandoned(): void {
    this.#state = "done";
  }

  #finish(): void {
    this.#state = "done";
    this.#host.answerEnded(this.#close);
  }

  #opensTunnel(status: number): boolean {
    if (status === 101) return this.#upgrade !== undefined;
    return this.#isConnect && status >= 200 && status < 300;
  }

  #framingOf(head: ResponseHead, endStream: boolean): Framing {
    const { fields, status } = head;
    if (this.#tunnel || status === 204 || status === 101) {
      fields.remove("content-length");
      return this.#tunnel ? untilClose : 0;
    }
    const stated = fields.get("content-length");
    if (this.#isHead || status === 304) return 0;
    if (endStream) {
      if (stated !== "0") fields.set("content-length", "0");
      return 0;
    }
    if (stated !== undefined && /^[0-9]{1,15}$/.test(stated)) return Number(stated);
    return this.protocol === "HTTP/1.0" ? untilClose : chunked;
  }

  #connectionOption(): string {
    if (this.#tunnel) return "";
    if (this.#close) return "close";
    return this.protocol === "HTTP/1.0" ? "keep-alive" : "";
  }
}
