/** One request's answer on an HTTP/2 connection. */
import { randomBytes } from "node:crypto";
import { errorCode } from "../../../shared/hbone/http2/errors.ts";
import type { Fields, ResponseHead } from "../message.ts";
import type { AcceptRequest, DownstreamInfo, ResetReason, ServerStream } from "../stream.ts";
import type { Http2Connection } from "./connection.ts";
import { sendResponse } from "./head-writer.ts";
import type { ParsedRequest } from "./heads.ts";
import { commonCode, Http2Stream } from "./stream.ts";

export class Http2ServerStream extends Http2Stream implements ServerStream {
  readonly protocol = "HTTP/2";
  readonly connection: DownstreamInfo;
  readonly #http2: Http2Connection;
  readonly #request: ParsedRequest;
  readonly #isHead: boolean;
  /** An extended CONNECT: what is 101 in HTTP/1.1 is 200 here. */
  readonly #isUpgrade: boolean;
  #hasKey = true;
  #state: "waiting" | "body" = "waiting";

  constructor(
    http2: Http2Connection,
    id: number,
    sendWindowBytes: number,
    receiveWindowBytes: number,
    connection: DownstreamInfo,
    request: ParsedRequest,
  ) {
    super(http2, id, sendWindowBytes, receiveWindowBytes);
    this.#http2 = http2;
    this.connection = connection;
    this.#request = request;
    // Read before a filter may change them.
    this.#isHead = request.head.method === "HEAD";
    this.#isUpgrade = request.isConnect && request.head.upgrade !== undefined;
    this.stateLength(request.isConnect ? -1 : request.contentLength);
    if (request.head.upgrade === "websocket") this.#addKey(request.head.fields);
  }

  /** Hands the request over; it may be answered within the call. */
  begin(accept: AcceptRequest, endStream: boolean): void {
    const isWhole = endStream && !this.#request.isConnect;
    // Before the call, which may answer and thereby end all this.
    if (isWhole) this.peerEndedWithHead();
    const receiver = accept(this.#request.head, isWhole, this);
    if (this.over) return;
    this.receiver = receiver;
    if (endStream && !isWhole) this.peerEnded(undefined);
  }

  interim(head: ResponseHead): void {
    // RFC 9113 section 8.6: there is no 101 here.
    if (this.#state !== "waiting" || this.over || head.status === 101) return;
    sendResponse(this.#http2.write, this, head, false);
  }

  head(head: ResponseHead, endStream: boolean): void {
    if (this.#state !== "waiting" || this.over) return;
    this.#state = "body";
    const opens = this.#isUpgrade ? head.status === 101 : isSuccess(head.status);
    this.isTunnel = this.#request.isConnect && (opens || isSuccess(head.status));
    if (this.#isUpgrade) this.#toConnectAnswer(head);
    if (this.isTunnel || head.status === 204) head.fields.remove("content-length");
    sendResponse(this.#http2.write, this, head, endStream);
    if (endStream) this.endedWithHead();
  }

  override body(bytes: Buffer, start: number, end: number): boolean {
    if (this.#isHead || this.#state === "waiting") return true;
    return super.body(bytes, start, end);
  }

  protected override codeOf(reason: ResetReason): number {
    if (this.isTunnel) return errorCode.connectError;
    return commonCode(reason) ?? errorCode.internalError;
  }

  /** RFC 9113 section 8.1: the answer is complete, the rest of the request is not wanted. */
  protected override localEndedFirst(): void {
    this.breakOff(errorCode.noError);
  }

  protected override remoteEndedFirst(): void {
    // The usual order: the answer comes.
  }

  /** HTTP/1.1 servers insist on a key, which HTTP/2 does without (RFC 8441 section 5). */
  #addKey(fields: Fields): void {
    if (fields.has("sec-websocket-key")) return;
    this.#hasKey = false;
    fields.append("sec-websocket-key", randomBytes(16).toString("base64"));
  }

  #toConnectAnswer(head: ResponseHead): void {
    if (head.status === 101) head.status = 200;
    if (!this.#hasKey) head.fields.remove("sec-websocket-accept");
  }
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}
