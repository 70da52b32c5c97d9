/** One request to an upstream on an HTTP/2 connection. */
import { errorCode } from "../../../shared/hbone/http2/errors.ts";
import type { RequestHead, ResponseHead } from "../message.ts";
import type { ResetReason, ResponseReceiver } from "../stream.ts";
import { malformed } from "./field-rules.ts";
import type { ParsedResponse } from "./heads.ts";
import { commonCode, Http2Stream, type StreamHost } from "./stream.ts";

export class Http2ClientStream extends Http2Stream {
  /** The connection had carried requests before this one. */
  reused = false;
  readonly isUpgrade: boolean;
  readonly #isConnect: boolean;
  readonly #isHead: boolean;
  readonly #responses: ResponseReceiver;
  #hasHead = false;

  constructor(
    host: StreamHost,
    id: number,
    sendWindowBytes: number,
    receiveWindowBytes: number,
    head: RequestHead,
    receiver: ResponseReceiver,
  ) {
    super(host, id, sendWindowBytes, receiveWindowBytes);
    this.receiver = receiver;
    this.#responses = receiver;
    this.#isConnect = head.method === "CONNECT";
    this.isUpgrade = head.upgrade !== undefined && !this.#isConnect;
    this.#isHead = head.method === "HEAD";
  }

  get hasHead(): boolean {
    return this.#hasHead;
  }

  /** END_STREAM has left with the head. */
  requestSent(): void {
    this.endedWithHead();
  }

  /** A header block that is not trailers. Throws StreamError. */
  answered(response: ParsedResponse, endStream: boolean): void {
    const { head } = response;
    if (head.status < 200) {
      if (endStream) throw malformed("only a 1xx answer");
      this.#responses.interim(head);
      return;
    }
    this.#hasHead = true;
    this.isTunnel = (this.#isConnect || this.isUpgrade) && head.status < 300;
    // The peer's name for it; above, an upgrade that was taken is 101.
    if (this.isUpgrade && this.isTunnel) head.status = 101;
    this.stateLength(this.#bodyLength(head, response.contentLength));
    const isWhole = endStream && !this.isTunnel;
    if (isWhole) this.peerEndedWithHead();
    this.#responses.head(head, isWhole);
    if (isWhole) this.afterPeersEnd();
    else if (endStream && !this.over) this.peerEnded(undefined);
  }

  /** DATA may come only behind the head. */
  override checkData(payloadBytes: number): void {
    if (!this.#hasHead) throw malformed("DATA before HEADERS");
    super.checkData(payloadBytes);
  }

  /** The peer does not take extended CONNECT. */
  cannotUpgrade(): void {
    this.breakOff(errorCode.cancel);
    this.#responses.reset({ kind: "protocol-error", detail: "upstream takes no extended CONNECT" });
  }

  protected override codeOf(reason: ResetReason): number {
    if (this.isTunnel) return errorCode.connectError;
    if (reason.kind === "local") return errorCode.cancel;
    return commonCode(reason) ?? errorCode.cancel;
  }

  protected override localEndedFirst(): void {
    // The usual order: the answer comes.
  }

  /** The peer has said all it has to say; nobody needs the rest of the request. */
  protected override remoteEndedFirst(): void {
    this.breakOff(errorCode.cancel);
  }

  /** RFC 9110 section 6.4.1: these have none, whatever content-length says. */
  #bodyLength(head: ResponseHead, stated: number): number {
    if (this.isTunnel) return -1;
    return this.#isHead || head.status === 204 || head.status === 304 ? 0 : stated;
  }
}
